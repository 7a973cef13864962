// Checks the peer itself, through its own front door. No sleeps: states are waited for by asking the stats.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

let peer;
let port;
let nextBot = 1000;

before(async () => {
  peer = spawn(process.execPath, [fileURLToPath(new URL('server.mjs', import.meta.url)), '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await new Promise((resolve) => peer.stdout.once('data', (data) => resolve(String(data))));
  port = Number(/^listening (\d+)\n$/.exec(line)[1]);
});

after(() => peer.kill());

const newToken = () => `${nextBot++}:test-token`;

function request(method, path, body, headers = {}) {
  let leave;
  const done = new Promise((resolve, reject) => {
    const req = http.request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (res) => {
      const chunks = [];
      res.on('data', (chunk) => chunks.push(chunk));
      res.on('end', () => resolve({ status: res.statusCode, headers: res.headers, bytes: Buffer.concat(chunks) }));
      res.on('error', reject);
    });
    req.on('error', reject);
    req.end(body);
    leave = () => req.destroy();
  });
  return Object.assign(done, { leave });
}

async function json(answer) {
  const { status, headers, bytes } = await answer;
  return { status, headers, body: JSON.parse(bytes) };
}

const JSON_TYPE = { 'content-type': 'application/json' };
const post = (path, body) => json(request('POST', path, JSON.stringify(body), JSON_TYPE));
const call = (token, method, params = {}) => post(`/bot${token}/${method}`, params);
const control = (name, order) => post(`/control/${name}`, order);
const look = async (name, token, query = '') => (await json(request('GET', `/control/${name}?token=${token}${query}`))).body;

async function result(token, method, params) {
  const { status, body } = await call(token, method, params);
  assert.equal(status, 200, JSON.stringify(body));
  return body.result;
}

async function until(token, holds) {
  for (;;) {
    const stats = await look('stats', token);
    if (holds(stats)) return stats;
  }
}

const say = (token, text, more = {}) => control('message', { token, chat_id: 7, text, ...more });
const held = (token) => until(token, (stats) => stats.get_updates_in_flight === 1);

function form(fields) {
  const head = (disposition) => `--xx\r\ncontent-disposition: form-data; ${disposition}\r\n\r\n`;
  const lines = fields.flatMap(([disposition, value]) => [head(disposition), value, '\r\n']);
  return Buffer.concat([...lines, '--xx--\r\n'].map((line) => Buffer.from(line)));
}

const upload = (token, method, fields) => json(request('POST', `/bot${token}/${method}`, form(fields), {
  'content-type': 'multipart/form-data; boundary=xx',
}));

test('getMe has the id from the token and every field clients ask for', async () => {
  const me = await result('4242:abc', 'GetMe');
  assert.equal(me.id, 4242);
  assert.equal(me.is_bot, true);
  for (const key of ['can_join_groups', 'can_read_all_group_messages', 'supports_inline_queries',
    'can_connect_to_business', 'has_main_web_app']) assert.equal(typeof me[key], 'boolean', key);
});

test('a message is an update of the real form', async () => {
  const token = newToken();
  const { body } = await say(token, '/start', { username: 'ann', first_name: 'Ann' });
  const [update] = await result(token, 'getUpdates');
  assert.equal(update.update_id, body.update_id);
  const { message } = update;
  assert.equal(message.message_id, body.message_id);
  assert.ok(Math.abs(message.date - Date.now() / 1000) < 60);
  assert.deepEqual(message.from, { id: 7, is_bot: false, first_name: 'Ann', username: 'ann' });
  assert.deepEqual(message.chat, { id: 7, type: 'private', first_name: 'Ann', username: 'ann' });
  assert.deepEqual(message.entities, [{ type: 'bot_command', offset: 0, length: 6 }]);
  assert.equal('botToken' in message, false);
});

test('a topic of a supergroup', async () => {
  const token = newToken();
  const chat = { chat_id: -1001234567890, chat_type: 'supergroup', chat_title: 'Team', user_id: 9 };
  await say(token, 'hi', { ...chat, message_thread_id: 3, is_topic_message: true });
  const [{ message }] = await result(token, 'getUpdates');
  assert.deepEqual(message.chat, { id: -1001234567890, type: 'supergroup', title: 'Team', is_forum: true });
  assert.equal(message.message_thread_id, 3);
  const sent = await result(token, 'sendMessage', { chat_id: message.chat.id, text: 'yes', message_thread_id: 3 });
  assert.equal(sent.message_thread_id, 3);
  assert.deepEqual(sent.chat, message.chat);
});

test('updates stay until an offset confirms them', async () => {
  const token = newToken();
  for (const text of ['a', 'b', 'c']) await say(token, text);
  const texts = (updates) => updates.map((update) => update.message.text).join('');
  const first = await result(token, 'getUpdates', { limit: 2 });
  assert.equal(texts(first), 'ab');
  assert.equal(texts(await result(token, 'getUpdates')), 'abc');
  const offset = first[0].update_id + 1;
  assert.equal(texts(await result(token, 'getUpdates', { offset })), 'bc');
  assert.equal(texts(await result(token, 'getUpdates', { offset: String(offset) })), 'bc');
  assert.equal(texts(await result(token, 'getUpdates', { offset: first[0].update_id })), 'bc');
  assert.equal((await look('stats', token)).confirmed_offset, offset);
  assert.equal(texts(await result(token, 'getUpdates', { offset: -1 })), 'c');
});

test('a long poll waits for an update, and only as long as told', async () => {
  const token = newToken();
  const started = Date.now();
  assert.deepEqual(await result(token, 'getUpdates', { timeout: 1 }), []);
  assert.ok(Date.now() - started >= 1000);
  const poll = result(token, 'getUpdates', { timeout: 50 });
  await held(token);
  await say(token, 'now');
  assert.equal((await poll)[0].message.text, 'now');
  assert.equal((await look('stats', token)).get_updates_in_flight, 0);
});

test('of two polls the earlier one is told of the conflict', async () => {
  const token = newToken();
  const earlier = call(token, 'getUpdates', { timeout: 50 });
  await held(token);
  const later = call(token, 'getUpdates', { timeout: 50 });
  assert.deepEqual(await earlier.then(({ status, body }) => [status, body]), [409, {
    ok: false,
    error_code: 409,
    description: 'Conflict: terminated by other getUpdates request; make sure that only one bot instance is running',
  }]);
  await say(token, 'for the later one');
  assert.equal((await later).body.result.length, 1);
  assert.equal((await look('stats', token)).conflicts, 1);
});

test('a poll whose caller hangs up is gone, and no conflict for the next one', async () => {
  const token = newToken();
  const poll = request('GET', `/bot${token}/getUpdates?timeout=50`);
  await held(token);
  poll.leave();
  await assert.rejects(poll);
  await until(token, (stats) => stats.get_updates_in_flight === 0);
  await say(token, 'still there');
  assert.equal((await result(token, 'getUpdates')).length, 1);
  assert.equal((await look('stats', token)).conflicts, 0);
});

test('photo and voice notes can be fetched byte for byte', async () => {
  const token = newToken();
  const bytes = Buffer.from([0, 255, 13, 10, 13, 10, 45, 45, ...Array(3000).keys()]);
  const content = bytes.toString('base64');
  await control('photo', { token, chat_id: 7, caption: 'look', content_base64: content });
  await control('voice', { token, chat_id: 7, duration: 4, content_base64: content, mime_type: 'audio/ogg' });
  const [{ message: photo }, { message: voice }] = await result(token, 'getUpdates');
  assert.equal(photo.caption, 'look');
  assert.equal(photo.photo.length, 2);
  assert.deepEqual([voice.voice.duration, voice.voice.mime_type], [4, 'audio/ogg']);
  for (const { file_id: id } of [photo.photo[1], voice.voice]) {
    const file = await result(token, 'getFile', { file_id: id });
    assert.equal(file.file_size, bytes.length);
    const got = await request('GET', `/file/bot${token}/${file.file_path}`);
    assert.deepEqual(got.bytes, bytes);
  }
  assert.equal((await request('GET', `/file/bot${token}/photos/none.jpg`)).status, 404);
  assert.equal((await call(token, 'getFile', { file_id: 'none' })).status, 400);
});

test('media by URL, by file id, uploaded, attached and in a group', async () => {
  const token = newToken();
  const url = 'http://127.0.0.1:9/picture.png';
  const byUrl = await result(token, 'sendPhoto', { chat_id: 7, photo: url, caption: 'one', parse_mode: 'HTML' });
  const byId = await result(token, 'sendPhoto', { chat_id: '7', photo: byUrl.photo[0].file_id });
  assert.equal(byId.photo[0].file_id, byUrl.photo[0].file_id);
  const bytes = Buffer.from('\r\n--x\0\r\n--xy', 'latin1');
  const { body: { result: document } } = await upload(token, 'SendDocument', [
    ['name="chat_id"', '7'], ['name="document"', 'attach://part1'], ['name="part1"; filename="a \\"b\\".txt"', bytes],
  ]);
  assert.equal(document.document.file_name, 'a "b".txt');
  const { body: { result: voice } } = await upload(token, 'sendVoice', [
    ['name="chat_id"', '7'], ['name="voice"; filename=""', bytes], ['name="duration"', '3'],
  ]);
  assert.equal(voice.voice.duration, 3);
  const file = await result(token, 'getFile', { file_id: document.document.file_id });
  assert.deepEqual((await request('GET', `/file/bot${token}/${file.file_path}`)).bytes, bytes);
  const group = await result(token, 'sendMediaGroup', {
    chat_id: 7, media: [{ type: 'photo', media: url, caption: 'x' }, { type: 'video', media: url }],
  });
  assert.equal(group.length, 2);
  const { messages } = await look('sent', token, '&chat_id=7');
  assert.deepEqual(messages.map((one) => [one.method, one.media, one.caption]), [
    ['sendPhoto', url, 'one'],
    ['sendPhoto', byUrl.photo[0].file_id, undefined],
    ['sendDocument', document.document.file_id, undefined],
    ['sendVoice', voice.voice.file_id, undefined],
    ['sendMediaGroup', url, 'x'],
    ['sendMediaGroup', url, undefined],
  ]);
  assert.equal((await call(token, 'sendPhoto', { chat_id: 7, photo: 'nonsense' })).status, 400);
});

test('edits, deletion and limits', async () => {
  const token = newToken();
  const { message_id: id } = await result(token, 'sendMessage', { chat_id: 7, text: 'one' });
  const change = { chat_id: 7, message_id: id, text: 'two' };
  assert.equal((await result(token, 'editMessageText', change)).text, 'two');
  assert.match((await call(token, 'editMessageText', change)).body.description, /message is not modified/);
  assert.equal(await result(token, 'deleteMessage', { chat_id: 7, message_id: id }), true);
  assert.equal((await call(token, 'deleteMessage', { chat_id: 7, message_id: id })).status, 400);
  const [{ text, earlier, deleted }] = (await look('sent', token)).messages;
  assert.deepEqual([text, earlier, deleted], ['two', ['one'], true]);
  assert.equal((await call(token, 'sendMessage', { chat_id: 7, text: 'ж'.repeat(4096) })).status, 200);
  assert.equal((await call(token, 'sendMessage', { chat_id: 7, text: 'ж'.repeat(4097) })).status, 400);
  assert.equal((await call(token, 'sendMessage', { chat_id: 7, text: ' ' })).status, 400);
});

test('calls fail and break as ordered, and then work again', async () => {
  const token = newToken();
  const description = 'Too Many Requests: retry after 1';
  const body = { ok: false, error_code: 429, description, parameters: { retry_after: 1 } };
  await control('fail', { token, method: 'sendMessage', times: 2, status: 429, body, headers: { 'retry-after': '1' } });
  await control('drop', { token, method: 'sendMessage', times: 1 });
  for (let i = 0; i < 2; i += 1) {
    const failed = await call(token, 'SendMessage', { chat_id: 7, text: 'failed' });
    assert.deepEqual([failed.status, failed.body, failed.headers['retry-after']], [429, body, '1']);
  }
  await assert.rejects(call(token, 'sendMessage', { chat_id: 7, text: 'dropped' }), { code: 'ECONNRESET' });
  await result(token, 'sendMessage', { chat_id: 7, text: 'fine' });
  assert.deepEqual((await look('sent', token)).messages.map((one) => one.text), ['dropped', 'fine']);
  const { calls } = await look('calls', token, '&method=sendmessage');
  assert.deepEqual(calls.map((one) => one.status), [429, 429, null, 200]);
});

test('a dropped poll gives its updates again', async () => {
  const token = newToken();
  await say(token, 'once more');
  await control('drop', { token, method: 'getUpdates' });
  await assert.rejects(call(token, 'getUpdates', { timeout: 5 }), { code: 'ECONNRESET' });
  assert.equal((await result(token, 'getUpdates')).length, 1);
});

test('a broken download is cut in the middle', async () => {
  const token = newToken();
  const content = Buffer.alloc(100_000, 1).toString('base64');
  const { body } = await control('voice', { token, chat_id: 7, content_base64: content });
  const { file_path: path } = await result(token, 'getFile', { file_id: body.file_id });
  await control('drop', { token, method: 'file' });
  await assert.rejects(request('GET', `/file/bot${token}/${path}`), { code: 'ECONNRESET' });
  assert.equal((await request('GET', `/file/bot${token}/${path}`)).bytes.length, 100_000);
});

test('bad and revoked tokens are unauthorized', async () => {
  const unauthorized = { ok: false, error_code: 401, description: 'Unauthorized' };
  for (const token of ['nonsense', '0:abc', 'a:b']) {
    const { status, body } = await call(token, 'getMe');
    assert.deepEqual([status, body], [401, unauthorized]);
  }
  const token = newToken();
  const poll = call(token, 'getUpdates', { timeout: 50 });
  await held(token);
  await control('revoke', { token });
  assert.deepEqual((await poll).body, unauthorized);
  assert.deepEqual((await call(token, 'sendMessage', { chat_id: 7, text: 'x' })).body, unauthorized);
});

test('many at once: every update once, in order', async () => {
  const token = newToken();
  await Promise.all(Array.from({ length: 200 }, (_, i) => say(token, String(i))));
  const ids = [];
  for (let offset = 0; ids.length < 200; offset = ids.at(-1) + 1) {
    ids.push(...(await result(token, 'getUpdates', { offset, timeout: 5 })).map((update) => update.update_id));
  }
  assert.equal(new Set(ids).size, 200);
  assert.deepEqual(ids, [...ids].sort((a, b) => a - b));
});

test('a pressed button arrives with the whole message, and only buttons that are there can be pressed', async () => {
  const token = newToken();
  await control('message', { token, chat_id: 7, text: 'hi' });
  const keyboard = { inline_keyboard: [[{ text: 'Yes', callback_data: 'y' }]] };
  const asked = await result(token, 'sendMessage', { chat_id: 7, text: 'sure?', reply_markup: keyboard });
  const wrong = await control('press', { token, chat_id: 7, message_id: asked.message_id, data: 'n' });
  assert.equal(wrong.status, 400);
  const { body } = await control('press', { token, chat_id: 7, message_id: asked.message_id, data: 'y' });
  const updates = await result(token, 'getUpdates', { allowed_updates: ['callback_query'] });
  const { callback_query: press } = updates.at(-1);
  assert.equal(press.id, body.callback_query_id);
  assert.equal(press.data, 'y');
  assert.deepEqual(press.message.reply_markup, keyboard);
  assert.equal(press.from.id, 7);
  assert.equal(await result(token, 'answerCallbackQuery', { callback_query_id: press.id }), true);
});

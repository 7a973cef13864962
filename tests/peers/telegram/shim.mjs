// The Bot API as bots see it: /bot<token>/<method> and /file/bot<token>/<path>.
import { ApiError, readArguments, sendJson } from './http.mjs';
import { findMethod } from './methods.mjs';

// Uploads are left out of the log: the tests get their bytes with getFile. A status of null is a call not answered:
// still waiting, told to break, or given up by the caller.
function logCall(bot, method, params) {
  const entry = { method, at: Date.now(), params, status: null };
  bot.calls.push(entry);
  return entry;
}

function checkSpec(spec, bot, method, { params, files }, entry) {
  const found = spec ? spec(method, params, files) : [];
  if (found.length === 0) return;
  bot.violations.push(...found);
  entry.status = 400;
  throw new ApiError(400, `Bad Request: ${found.join('; ')}`);
}

async function run(context, bot, method, args, gone) {
  const known = findMethod(method);
  if (!known) {
    bot.notEmulated.add(method);
    throw new ApiError(404, 'Not Found: method not found');
  }
  return known.run({ emulator: context.emulator, bot, ...args, gone });
}

async function answerOf(work) {
  try {
    return { status: 200, body: { ok: true, result: await work() } };
  } catch (error) {
    if (error instanceof ApiError) return { status: error.code, body: error.body };
    throw error;
  }
}

/** What to answer, or null to break the connection. */
async function outcome(context, bot, method, args, gone) {
  const order = bot.faults.take(method);
  if (order?.answer) return order.answer;
  const answer = await answerOf(() => run(context, bot, method, args, gone));
  return order ? null : answer;
}

// Fires when the caller hangs up before it is answered.
function hangUpSignal(res) {
  const controller = new AbortController();
  res.on('close', () => controller.abort());
  return controller.signal;
}

async function callMethod(context, req, res, url, token, name) {
  const gone = hangUpSignal(res);
  const args = await readArguments(req, url);
  const bot = context.bots.authorized(token);
  const method = findMethod(name)?.name ?? name;
  const entry = logCall(bot, method, args.params);
  checkSpec(context.spec, bot, method, args, entry);
  const answer = await outcome(context, bot, method, args, gone);
  if (answer && !gone.aborted) {
    entry.status = answer.status;
    sendJson(res, answer.status, answer.body, answer.headers);
  } else {
    res.destroy();
  }
}

function download(context, res, token, path) {
  const bot = context.bots.authorized(token);
  // "file" is the name under which downloads are told to fail or to break.
  const order = bot.faults.take('file');
  if (order?.answer) {
    sendJson(res, order.answer.status, order.answer.body, order.answer.headers);
    return;
  }
  const file = bot.files.byPath.get(path);
  if (!file) throw new ApiError(404, 'Not Found');
  res.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': file.bytes.length });
  if (!order) {
    res.end(file.bytes);
    return;
  }
  // Half of it, then the line is cut: written out first, or nothing would arrive at all.
  res.write(file.bytes.subarray(0, file.bytes.length >> 1), () => res.destroy());
}

// Clients may write the colon of the token as %3A.
function decodedPath(url) {
  try {
    return decodeURIComponent(url.pathname);
  } catch {
    throw new ApiError(400, 'Bad Request: malformed path');
  }
}

/** Answers the request if it is for the Bot API, and tells whether it was. */
export async function serveBotApi(context, req, res, url) {
  const path = decodedPath(url);
  const call = /^\/bot([^/]+)\/([A-Za-z]+)$/.exec(path);
  const file = /^\/file\/bot([^/]+)\/(.+)$/.exec(path);
  if (call) await callMethod(context, req, res, url, call[1], call[2]);
  else if (file) download(context, res, file[1], file[2]);
  return Boolean(call || file);
}

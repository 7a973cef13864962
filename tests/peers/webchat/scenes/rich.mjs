// More than a text: what is answered, polls, places, albums. After a reload and in a second tab they are the same.

import assert from 'node:assert/strict';

import { scene } from '../people.mjs';
import { faults } from './access.mjs';

const LUNCH = { question: 'Lunch?', options: ['Soup', 'Salad'] };
const HOME = { latitude: 48.5, longitude: -2.25, title: 'The harbour', address: '1 Quay Street' };
const MAP = 'https://www.openstreetmap.org/?mlat=48.5&mlon=-2.25#map=16/48.5/-2.25';
const HOSTILE = '<img src=x onerror="window.harmed = 1"><b>**bold**</b>';
const POINTLESS = 'a message that is not shown here';

const mine = (chat, text) => chat.root.locator('.msg.visitor', { hasText: text });
const hasFocus = (locator) => locator.evaluate((node) => document.activeElement === node);
/** Messages as they are: what is above them and in them. */
const drawn = (chat) => chat.root.locator('#log .msg').evaluateAll((nodes) => nodes.map((node) =>
  [node.querySelector('.quote')?.outerHTML, node.querySelector('.bubble').innerHTML, node.querySelector('.buttons:not(.bubble *)')?.innerHTML]));

export default (stage) => {
  /** The page after a reload and a second tab show what `chat` does. */
  const isTheSame = async (chat, channel, people, last) => {
    const before = await drawn(chat);
    await chat.page.reload();
    const there = await people.opensIn(chat.page.context(), channel.page);
    for (const one of [chat, there]) {
      await last(one).waitFor();
      assert.deepEqual(await drawn(one), before);
    }
    return there;
  };
  const picture = (filename) => ({ kind: 'image', url: stage.backend.picture, filename });

  scene(stage, 'an answer says what it answers and leads there', async (people) => {
    const channel = await stage.claw.channel('quotes');
    const chat = await people.opens(channel.page);
    const heard = await chat.tells(stage, channel, 'How much?');
    await channel.send(heard.recipient, Array.from({ length: 60 }, (_, n) => `- point ${n}`).join('\n'));
    const price = await channel.send(heard.recipient, { message: 'It costs **10**.', reply_to: heard.platform_message_id });
    await channel.send(heard.recipient, { message: 'In a month.', reply_to: price.id });
    const quote = (text, words) => chat.message(text).getByRole('button', { name: words });
    await quote('In a month.', 'Reply to: It costs 10.').waitFor();
    await quote('It costs 10.', 'Reply to your message: How much?').focus();
    await chat.page.keyboard.press('Enter');
    const question = await chat.shows('How much?');
    assert.ok(await hasFocus(question));
    const shown = await question.evaluate((node) => {
      const [box, view] = [node.getBoundingClientRect(), document.getElementById('scroller').getBoundingClientRect()];
      return box.top >= view.top && box.bottom <= view.bottom;
    });
    assert.ok(shown, 'it was scrolled to');
    const last = (one) => one.message('In a month.');
    const there = await isTheSame(chat, channel, people, last);
    await channel.edit(price.id, { message: 'It costs 12.' });
    for (const one of [chat, there]) await last(one).getByRole('button', { name: 'Reply to: It costs 12.' }).waitFor();
    await channel.delete(price.id);
    for (const one of [chat, there]) {
      await last(one).getByText(POINTLESS).waitFor();
      assert.equal(await last(one).locator('button.quote').count(), 0);
    }
    await isTheSame(chat, channel, people, last);
  });

  scene(stage, 'a visitor replies to one of several answers', async (people) => {
    const channel = await stage.claw.channel('replies');
    const chat = await people.opens(channel.page);
    const there = await people.opensIn(chat.page.context(), channel.page);
    const heard = await chat.tells(stage, channel, 'Offers?');
    const first = await channel.send(heard.recipient, 'A red one');
    await channel.send(heard.recipient, 'A blue one');
    await chat.shows('A blue one');
    const note = chat.root.getByText('You are replying to “A red one”.');
    const reply = chat.message('A red one').getByRole('button', { name: 'Reply to this message' });
    await reply.click();
    await note.waitFor();
    await chat.input.press('Escape');
    await note.waitFor({ state: 'hidden' });
    await reply.click();
    await chat.write('This, please');
    await note.waitFor({ state: 'hidden' });
    const { metadata, text } = await stage.backend.hears(channel.user);
    assert.deepEqual([text, metadata.answer_id, metadata.reply_to_message], ['This, please', first.id, first.id]);
    await chat.tells(stage, channel, 'And a bag');
    assert.equal(stage.backend.told(channel.user).at(-1).metadata.answer_id, undefined);
    await chat.sent('And a bag');
    const last = (one) => one.message('And a bag');
    await last(there).waitFor();
    assert.deepEqual(await drawn(there), await drawn(chat));
    await mine(there, 'This, please').getByRole('button', { name: 'Reply to: A red one' }).waitFor();
    await isTheSame(chat, channel, people, last);
  });

  scene(stage, 'a poll is a question with buttons, and knows what was chosen', async (people) => {
    const channel = await stage.claw.channel('polls');
    const chat = await people.opens(channel.page);
    const heard = await chat.tells(stage, channel, 'I am hungry');
    const poll = await channel.send(heard.recipient, { poll: LUNCH });
    assert.equal(poll.degraded, undefined);
    const option = (name, pressed, one = chat) => one.root.getByRole('group').getByRole('button', { name, pressed });
    await chat.root.getByRole('group', { name: 'Lunch?' }).waitFor();
    for (const name of ['Soup', 'Salad']) {
      await option(name, false).focus();
      await chat.page.keyboard.press('Enter');
      const chosen = await stage.backend.hears(channel.user);
      assert.deepEqual([chosen.content_type, chosen.text, chosen.metadata.message_id], ['button', name, poll.id]);
      await option(name, true).waitFor();
      assert.ok(await hasFocus(option(name, true)), 'the focus stays');
      await mine(chat, name).locator('.meta', { hasText: 'Sent' }).waitFor();
    }
    await option('Soup', false).waitFor(); // one answer only: the last
    await option('Salad', true).click({ force: true });
    await isTheSame(chat, channel, people, (one) => option('Salad', true, one));
    assert.equal(stage.backend.told(channel.user).length, 3, 'what is chosen is not chosen again');
    await channel.edit(poll.id, { message: 'Salad it is.' });
    await chat.shows('Salad it is.');
    assert.equal(await chat.root.getByRole('group').count(), 0);
    await channel.send(heard.recipient, { message: 'With what?', poll: { question: 'Toppings?', options: ['Nuts', 'Seeds'], multiple: true } });
    for (const name of ['Nuts', 'Seeds']) {
      await option(name, false).click();
      await stage.backend.hears(channel.user);
      await mine(chat, name).locator('.meta', { hasText: 'Sent' }).waitFor();
    }
    await isTheSame(chat, channel, people, (one) => option('Seeds', true, one));
    await option('Nuts', true).waitFor();
  });

  scene(stage, 'a place has a name, an address and a link to a map, from which nothing is loaded', async (people) => {
    const channel = await stage.claw.channel('places');
    const chat = await people.opens(channel.page);
    const asked = [];
    chat.page.context().on('request', (request) => asked.push(new URL(request.url()).hostname));
    const heard = await chat.tells(stage, channel, 'Where?');
    await channel.send(heard.recipient, { message: 'Here:', location: HOME });
    const place = chat.root.locator('.place');
    await place.waitFor();
    assert.deepEqual((await place.innerText()).split(/\n+/), ['The harbour', '1 Quay Street', '48.5, -2.25', 'Show on a map']);
    const link = place.getByRole('link', { name: 'Show on a map' });
    assert.deepEqual(
      [await link.getAttribute('href'), await link.getAttribute('rel'), await link.getAttribute('target')],
      [MAP, 'noopener noreferrer', '_blank'],
    );
    await isTheSame(chat, channel, people, (one) => one.root.locator('.place'));
    assert.deepEqual(asked.filter((host) => host.includes('openstreetmap')), []);
  });

  scene(stage, 'several attachments are one message', async (people) => {
    const channel = await stage.claw.channel('albums');
    const chat = await people.opens(channel.page);
    const heard = await chat.tells(stage, channel, 'Show me all');
    const media = [picture('one.png'), picture('two.png'), { kind: 'file', url: stage.backend.picture, filename: 'notes.txt' }];
    const sent = await channel.send(heard.recipient, { message: 'All **three**', media });
    assert.equal(sent.degraded, undefined);
    const answer = await chat.shows('All three');
    const list = answer.getByRole('list', { name: '3 attachments' });
    for (const name of ['one.png', 'two.png']) {
      assert.equal(await list.getByRole('img', { name }).evaluate((node) => node.decode().then(() => node.naturalWidth)), 1);
    }
    const boxes = await list.getByRole('img').evaluateAll((nodes) => nodes.map((node) => node.getBoundingClientRect().top));
    assert.equal(boxes[0], boxes[1], 'pictures are side by side');
    await list.getByRole('link', { name: 'notes.txt' }).waitFor();
    assert.equal(await chat.root.locator('.msg.agent').count(), 1);
    await isTheSame(chat, channel, people, (one) => one.message('All three'));
    await channel.delete(sent.id);
    await chat.misses('All three');
    assert.equal(await chat.root.locator('.msg.agent').count(), 0);
  });

  scene(stage, 'nothing of a poll, a place, an album or what is answered runs', async (people) => {
    const channel = await stage.claw.channel('hostile-rich');
    const chat = await people.opens(channel.page);
    const heard = await chat.tells(stage, channel, HOSTILE);
    await channel.send(heard.recipient, { message: 'well', reply_to: heard.platform_message_id });
    await channel.send(heard.recipient, { message: 'nobody', reply_to: `x:${HOSTILE}` });
    await channel.send(heard.recipient, { poll: { question: HOSTILE, options: [HOSTILE, 'b'] }, location: { ...HOME, title: HOSTILE, address: HOSTILE } });
    const files = [1, 2].map((n) => ({ kind: 'file', url: stage.backend.picture, filename: `${n}${HOSTILE}` }));
    await channel.send(heard.recipient, { message: 'files', media: files });
    await chat.shows('files');
    await chat.root.getByRole('group').getByRole('button', { name: 'onerror' }).click();
    assert.equal((await stage.backend.hears(channel.user)).text, HOSTILE);
    const chosen = (one) => one.root.locator('.msg.visitor').nth(1);
    await chosen(chat).locator('.meta', { hasText: 'Sent' }).waitFor();
    await isTheSame(chat, channel, people, chosen);
    const left = await chat.page.evaluate(() => ({
      harmed: window.harmed,
      strangers: document.querySelectorAll('#log :is(script, img, iframe, svg, b)').length,
      protocols: [...new Set([...document.querySelectorAll('#log a')].map((a) => new URL(a.href).protocol))].sort(),
    }));
    assert.deepEqual(left, { harmed: undefined, strangers: 0, protocols: ['http:', 'https:'] });
  });

  for (const theme of ['light', 'dark']) {
    scene(stage, `the rules of accessibility have nothing against polls, places, albums and replies, ${theme}`, async (people) => {
      const channel = await stage.claw.channel(`rich-${theme}`, { theme });
      const chat = await people.opens(channel.page);
      const heard = await chat.tells(stage, channel, 'All of it');
      const all = { message: 'Here', media: [picture('one.png'), picture('two.png')], location: HOME, poll: LUNCH, reply_to: heard.platform_message_id };
      await channel.send(heard.recipient, all);
      await chat.root.getByRole('group').getByRole('button', { name: 'Soup' }).click();
      await stage.backend.hears(channel.user);
      await mine(chat, 'Soup').locator('.meta', { hasText: 'Sent' }).waitFor();
      await chat.message('Here').getByRole('button', { name: 'Reply to this message' }).click();
      await chat.root.getByText('You are replying to').waitFor();
      assert.deepEqual(await faults(chat.page), []);
    });
  }
};

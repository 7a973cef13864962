// Files: a visitor's reach the backend, the agent's pictures are seen, and what is not taken is refused in words.

import assert from 'node:assert/strict';

import { PICTURE } from '../backend.mjs';
import { scene } from '../people.mjs';

const picture = { name: 'my cat.png', mimeType: 'image/png', buffer: PICTURE };
const notes = { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('Milk, bread') };

/** Waits until the picture was loaded. */
const isSeen = (img) => img.evaluate((node) => node.decode().then(() => node.naturalWidth));

/** What was said, from above; of a picture its name. */
const order = (chat) => chat.root.locator('#log .bubble')
  .evaluateAll((nodes) => nodes.map((node) => node.querySelector('img')?.alt ?? node.innerText));

/** Waits until the page was told that the picture is stored. */
const isSent = (chat) => chat.root.locator('.msg.visitor', { has: chat.root.getByRole('img') }).locator('.meta', { hasText: 'Sent' }).waitFor();

/** The page is not told that a file is stored before `window.release()`. */
const holdsAnswers = (context) => context.addInitScript(() => {
  const { fetch } = window;
  const released = new Promise((resolve) => { window.release = resolve; });
  window.fetch = (...call) => fetch(...call).then(async (answer) => { await released; return answer; });
});

async function choose(chat, ...files) {
  const chooser = chat.page.waitForEvent('filechooser');
  await chat.root.getByRole('button', { name: 'Send a file' }).click();
  await (await chooser).setFiles(files);
}

export default (stage) => {
  scene(stage, 'a file of a visitor reaches the backend, and the page has it after a reload', async (people) => {
    const channel = await stage.claw.channel('upload', { allowed_origins: stage.sites.origin('shop') });
    const chat = await people.opensWidget(stage.sites.page('shop', { channel: channel.id }));
    await choose(chat, picture, notes);
    await chat.write('These two');
    const [first, second, third] = [await stage.backend.hears('upload'), await stage.backend.hears('upload'), await stage.backend.hears('upload')];
    assert.deepEqual([first.content_type, first.media_filename], ['image', 'my cat.png']);
    assert.deepEqual([second.content_type, second.media_filename], ['file', 'notes.txt']);
    assert.equal(third.text, 'These two');
    const bytes = async (url) => Buffer.from(await (await fetch(url)).arrayBuffer());
    assert.deepEqual(await bytes(first.media_url), PICTURE);
    assert.deepEqual(await bytes(second.media_url), notes.buffer);
    assert.equal(await isSeen(chat.root.getByRole('img', { name: 'my cat.png' })), 1);
    await chat.page.reload();
    await chat.page.getByRole('button', { name: 'Open Chat' }).click();
    assert.equal(await isSeen(chat.root.getByRole('img', { name: 'my cat.png' })), 1);
    await chat.root.getByRole('link', { name: 'notes.txt' }).waitFor();
    const loads = chat.page.waitForEvent('download');
    await chat.root.getByRole('link', { name: 'notes.txt' }).click();
    assert.match((await loads).suggestedFilename(), /^notes.*txt$/);
  });

  scene(stage, 'a picture of the agent is seen, and one that is gone leaves its name', async (people) => {
    const channel = await stage.claw.channel('picture');
    const chat = await people.opens(channel.page);
    const heard = await chat.tells(stage, channel, 'Show me');
    await channel.send(heard.recipient, { image_url: stage.backend.picture, caption: 'The **chart**', filename: 'chart.png' });
    const answer = await chat.shows('The chart');
    assert.equal(await isSeen(answer.getByRole('img', { name: 'chart.png' })), 1);
    await channel.send(heard.recipient, { image_url: `${stage.claw.origin}/no/such.png`, filename: 'lost.png' });
    const link = chat.root.getByRole('link', { name: 'lost.png' });
    await link.waitFor();
    await link.locator('img').waitFor({ state: 'detached' });
    await link.getByText('lost.png').waitFor();
  }, { expects: [/such\.png/] });

  scene(stage, 'what is too large or of another kind is refused in words', async (people) => {
    const channel = await stage.claw.channel('refused', { max_file_mib: 1, file_kinds: ['image'] });
    const chat = await people.opens(channel.page);
    await choose(chat, { ...picture, name: 'huge.png', buffer: Buffer.alloc((1 << 20) + 1) });
    await chat.root.getByRole('alert').filter({ hasText: '“huge.png” is too large. You can send pictures of up to 1 MB.' }).waitFor();
    await choose(chat, { ...notes, name: 'a.png' });
    const refused = chat.root.locator('.msg.failed');
    await refused.getByText('This chat does not take files of this type. You can send pictures of up to 1 MB.').waitFor();
    await refused.getByRole('button', { name: 'Discard' }).click();
    await refused.waitFor({ state: 'detached' });
    await chat.tells(stage, channel, 'Only words, then');
    assert.deepEqual(stage.backend.told('refused').map(({ text }) => text), ['Only words, then']);
  }, { expects: [/status of 415/] });

  scene(stage, 'a picture is pasted, and one is dropped', async (people) => {
    const channel = await stage.claw.channel('paste');
    const chat = await people.opens(channel.page);
    await chat.root.getByRole('button', { name: 'Send a file' }).waitFor();
    const gives = (node, [event, name, base64]) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], name, { type: 'image/png' }));
      const init = { bubbles: true, cancelable: true };
      const given = event === 'paste' ? new ClipboardEvent(event, { ...init, clipboardData: data }) : new DragEvent(event, { ...init, dataTransfer: data });
      node.dispatchEvent(given);
    };
    for (const [event, name] of [['paste', 'pasted.png'], ['drop', 'dropped.png']]) {
      await chat.input.evaluate(gives, [event, name, PICTURE.toString('base64')]);
      const heard = await stage.backend.hears('paste');
      assert.deepEqual([heard.content_type, heard.media_filename], ['image', name]);
    }
  });

  scene(stage, 'an answer that overtakes the word that its file is stored stays behind it', async (people) => {
    const channel = await stage.claw.channel('overtaken');
    const context = await people.arrives();
    await holdsAnswers(context);
    const chat = await people.opensIn(context, channel.page);
    await choose(chat, picture);
    const heard = await stage.backend.hears('overtaken');
    await channel.send(heard.reply_to.recipient, 'A nice cat.');
    await chat.shows('A nice cat.');
    await chat.page.evaluate(() => window.release());
    await isSent(chat);
    assert.deepEqual(await order(chat), ['my cat.png', 'A nice cat.']);
    assert.ok(await chat.root.locator('#typing').isHidden(), 'nothing is being written any more');
  });

  scene(stage, 'what is written after a picture stands behind it', async (people) => {
    const channel = await stage.claw.channel('after-picture');
    const chat = await people.opens(channel.page);
    await choose(chat, picture);
    const heard = await stage.backend.hears('after-picture');
    await isSent(chat);
    for (const text of ['What is this?', 'And where?']) {
      await chat.tells(stage, channel, text);
      await chat.sent(text);
    }
    assert.deepEqual(await order(chat), ['my cat.png', 'What is this?', 'And where?']);
    await channel.send(heard.reply_to.recipient, 'A cat on a mat.');
    await chat.shows('A cat on a mat.');
    const said = ['my cat.png', 'What is this?', 'And where?', 'A cat on a mat.'];
    assert.deepEqual(await order(chat), said);
    await chat.page.reload();
    await chat.shows('A cat on a mat.');
    assert.deepEqual(await order(chat), said);
  });

  for (const overtakes of [false, true]) {
    const name = `an answer stands behind its picture while it is written${overtakes ? ', also where it overtakes the word that this is stored' : ''}`;
    scene(stage, name, async (people) => {
      const channel = await stage.claw.channel(overtakes ? 'draft-overtakes' : 'picture-draft');
      const context = await people.arrives();
      if (overtakes) await holdsAnswers(context);
      const chat = await people.opensIn(context, channel.page);
      const begins = stage.backend.streams(channel.user);
      await choose(chat, picture);
      const stream = await begins;
      if (!overtakes) await isSent(chat);
      stream.say('On this picture there is a **cat** ');
      await chat.shows('On this picture');
      if (overtakes) await chat.page.evaluate(() => window.release());
      await isSent(chat);
      assert.deepEqual(await order(chat), ['my cat.png', 'On this picture there is a cat']);
      stream.say('who sits on a mat.');
      stream.end();
      await chat.root.locator('.msg.agent[aria-busy="false"]').waitFor();
      assert.deepEqual(await order(chat), ['my cat.png', 'On this picture there is a cat who sits on a mat.']);
    });
  }
};

// Without a mouse and without seeing it.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

import { scene } from '../people.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** What the rules of WCAG 2.2, levels A and AA, have against what a frame shows. */
export async function faults(page, within) {
  const frame = within ? page.frames().find((one) => one.url().includes(within)) : page.mainFrame();
  // Evaluated, for the page's policy admits no script of others.
  await frame.evaluate(await readFile(AXE, 'utf8'));
  const found = await frame.evaluate(() => window.axe.run(document, {
    runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    iframes: false,
  }));
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`);
}

/** The name of what has the focus, through frames and shadow roots. */
async function focused(page) {
  let active = await page.evaluateHandle(() => document.activeElement.shadowRoot?.activeElement ?? document.activeElement);
  const frame = await active.asElement().contentFrame();
  if (frame) active = await frame.evaluateHandle(() => document.activeElement);
  return active.evaluate((node) => node.getAttribute('aria-label') || node.labels?.[0]?.textContent || node.textContent);
}

export default (stage) => {
  scene(stage, 'all of it works by the keyboard', async (people) => {
    const channel = await stage.claw.channel('keyboard', { allowed_origins: stage.sites.origin('shop'), events: ['edits', 'deletions'] });
    const page = await (await people.arrives()).newPage();
    const url = stage.sites.page('shop', { channel: channel.id });
    await page.goto(url);
    const opened = page.getByRole('button', { name: 'Open Chat' });
    await opened.waitFor();
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'More');
    await page.keyboard.press('Tab');
    assert.equal(await focused(page), 'Open Chat');
    await page.keyboard.press('Enter');
    const chat = page.frameLocator('iframe');
    await chat.locator('#input:focus').waitFor();
    await page.keyboard.type('Two lines');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('of text');
    await page.keyboard.press('Enter');
    const heard = await stage.backend.hears('keyboard');
    assert.equal(heard.text, 'Two lines\nof text');
    await channel.send(heard.reply_to.recipient, { message: 'Pick one', buttons: [[{ text: 'This', data: 'this' }]] });
    const answer = chat.locator('.msg.agent');
    await answer.waitFor();
    const reach = async (name, key = 'Shift+Tab') => {
      for (let n = 0; n < 12 && (await focused(page)) !== name; n += 1) await page.keyboard.press(key);
      assert.equal(await focused(page), name);
    };
    await reach('Bad answer');
    await page.keyboard.press('Space');
    await chat.getByRole('button', { name: 'Bad answer', pressed: true }).waitFor();
    assert.equal(await focused(page), 'Bad answer', 'the focus stays where it was');
    await reach('This');
    await page.keyboard.press('Enter');
    assert.equal((await stage.backend.hears('keyboard')).text, 'this');
    assert.equal(await focused(page), 'This');

    await reach('Edit this message');
    await page.keyboard.press('Enter');
    await chat.getByText('You are editing a message.').waitFor();
    assert.equal(await focused(page), 'Message');
    await page.keyboard.press('Escape');
    await chat.getByText('You are editing a message.').waitFor({ state: 'hidden' });
    assert.ok(await page.getByRole('dialog').isVisible(), 'the first Escape ends the editing only');
    await reach('Delete this message');
    await page.keyboard.press('Enter');
    assert.equal(await focused(page), 'Really delete this message?');
    await page.keyboard.press('Enter');
    assert.equal((await stage.backend.hears('keyboard')).metadata.event, 'message_deleted');
    assert.equal(await focused(page), 'Message', 'the focus is not lost with what had it');

    await page.keyboard.press('Escape');
    await opened.waitFor();
    assert.equal(await focused(page), 'Open Chat');
    await page.keyboard.press('Space');
    await page.getByRole('dialog').waitFor();
    await chat.locator('#input:focus').waitFor();
    await reach('Close chat');
    await page.keyboard.press('Enter');
    await opened.waitFor();
    assert.equal(await focused(page), 'Open Chat');
  });

  scene(stage, 'the focus stays on a message that changes below it', async (people) => {
    const channel = await stage.claw.channel('focus');
    const chat = await people.opens(channel.page);
    const heard = await chat.tells(stage, channel, 'Stay');
    const buttons = [[{ text: 'Yes', data: 'y' }, { text: 'No', data: 'n' }]];
    const sent = await channel.send(heard.recipient, { message: 'Well', buttons });
    await (await chat.shows('Well')).getByRole('button', { name: 'No', exact: true }).focus();
    await channel.edit(sent.id, { message: 'Well, well', buttons });
    await chat.shows('Well, well');
    await channel.react(sent.id, '🎉');
    await chat.message('Well').getByText('🎉').waitFor();
    assert.equal(await focused(chat.page), 'No');
    await chat.message('Well').getByRole('button', { name: 'Good answer' }).focus();
    await channel.react(sent.id, '🐻');
    await chat.message('Well').getByText('🐻').waitFor();
    assert.equal(await focused(chat.page), 'Good answer');
  });

  for (const theme of ['light', 'dark']) {
    scene(stage, `the rules of accessibility have nothing against it, ${theme}`, async (people) => {
      const fields = { theme, greeting: 'Hello!', events: ['edits', 'deletions'], allowed_origins: stage.sites.origin('shop') };
      const channel = await stage.claw.channel(`rules-${theme}`, fields);
      const chat = await people.opensWidget(stage.sites.page('shop', { channel: channel.id, theme }));
      const heard = await chat.tells(stage, channel, 'Everything, please: https://docs.example/');
      await channel.send(heard.recipient, {
        message: '# All\n\n- *of* `it`\n\n```\ncode\n```\n\n[a link](https://docs.example/)',
        buttons: [[{ text: 'Yes', data: 'y' }, { text: 'Read', url: 'https://docs.example/' }]],
      });
      await channel.send(heard.recipient, { image_url: stage.backend.picture, filename: 'chart.png' });
      await chat.root.getByRole('img', { name: 'chart.png' }).waitFor();
      // What is new is marked for a moment; then the page is as it stays.
      await chat.root.getByText('· New').first().waitFor({ state: 'detached' });
      await chat.message('Everything').getByRole('button', { name: 'Edit this message' }).click();
      assert.deepEqual(await faults(chat.page, '/webchat/'), [], 'in the chat');
      assert.deepEqual(await faults(chat.page), [], 'in the site');
    });
  }
};

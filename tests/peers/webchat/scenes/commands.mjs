// Commands that visitors are offered while they begin one: by the keyboard, by the mouse, on a phone, with hostile words.

import assert from 'node:assert/strict';

import { scene } from '../people.mjs';
import { faults } from './access.mjs';

const COMMANDS = ['ask: Ask the assistant', 'ask-again: Ask it once more', 'help'];
const SHOWN = ['/ask Ask the assistant', '/ask-again Ask it once more', '/help'];
const HOSTILE = '<img src=x onerror="window.harmed = 1"><b>**bold**</b>';
const PHONE = { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

const list = (chat) => chat.root.getByRole('listbox', { name: 'Commands' });
const options = (chat) => list(chat).getByRole('option');
const hasFocus = (locator) => locator.evaluate((node) => document.activeElement === node);
/** What the field says that the keys are at, which must be the only option that is selected. */
const picked = (chat) => chat.input.evaluate((field) => {
  const selected = [...document.querySelectorAll('[role="option"][aria-selected="true"]')];
  const active = document.getElementById(field.getAttribute('aria-activedescendant'));
  return selected.length === 1 && selected[0] === active ? active.textContent : `${selected.length} are selected`;
});
/** The page knows what is offered once its socket is ready. */
const knows = (chat) => chat.root.locator('#input[aria-haspopup="listbox"][aria-controls="offers"]').waitFor();

export default (stage) => {
  scene(stage, 'what is typed filters the commands, and keys choose one', async (people) => {
    const channel = await stage.claw.channel('commands', { commands: COMMANDS });
    const chat = await people.opens(channel.page);
    await knows(chat);
    await chat.input.pressSequentially('/');
    await list(chat).waitFor();
    assert.deepEqual(await options(chat).allInnerTexts(), SHOWN);
    await chat.root.getByRole('status').filter({ hasText: '3 commands. Choose with the arrow keys and Tab.' }).waitFor();
    for (const [key, shown] of [['ArrowDown', SHOWN[1]], ['ArrowUp', SHOWN[0]], ['ArrowUp', SHOWN[2]], ['ArrowDown', SHOWN[0]]]) {
      await chat.input.press(key);
      assert.equal(await picked(chat), shown);
    }
    await chat.input.pressSequentially('As');
    assert.deepEqual(await options(chat).allInnerTexts(), SHOWN.slice(0, 2));
    await chat.input.press('ArrowDown');
    await chat.input.press('Enter');
    assert.equal(await chat.input.inputValue(), '/ask-again ');
    assert.equal(await list(chat).isVisible(), false);
    assert.equal(await chat.input.getAttribute('aria-activedescendant'), null);
    await chat.input.pressSequentially('why?');
    await chat.input.press('Enter');
    assert.equal((await stage.backend.hears(channel.user)).text, '/ask-again why?');

    await chat.input.pressSequentially('/h');
    await chat.input.press('Tab');
    assert.equal(await chat.input.inputValue(), '/help ');
    assert.ok(await hasFocus(chat.input));
    // What has a whole name is sent as it is, also where a longer name begins with it.
    for (const text of ['/help', '/ask']) {
      await chat.input.fill(text);
      await list(chat).waitFor();
      await chat.input.press('Enter');
      assert.equal((await stage.backend.hears(channel.user)).text, text);
      assert.equal(await list(chat).isVisible(), false);
    }
    for (const none of ['/nothing', 'and /ask', '/ask more', ' /']) {
      await chat.input.fill(none);
      assert.equal(await list(chat).isVisible(), false, none);
    }
  });

  scene(stage, 'Escape ends the list only, and the mouse chooses, too', async (people) => {
    const fields = { commands: COMMANDS, allowed_origins: stage.sites.origin('shop') };
    const channel = await stage.claw.channel('commands-site', fields);
    const chat = await people.opensWidget(stage.sites.page('shop', { channel: channel.id }));
    await knows(chat);
    await chat.input.pressSequentially('/');
    await list(chat).waitFor();
    await chat.input.press('Escape');
    await list(chat).waitFor({ state: 'hidden' });
    assert.ok(await chat.page.getByRole('dialog').isVisible(), 'the chat stays open');
    await chat.input.pressSequentially('a');
    assert.deepEqual([await chat.input.inputValue(), await list(chat).isVisible()], ['/a', false], 'it was sent away');
    await chat.input.fill('');
    await chat.input.pressSequentially('/');
    await options(chat).filter({ hasText: 'once more' }).click();
    assert.equal(await chat.input.inputValue(), '/ask-again ');
    assert.ok(await hasFocus(chat.input));
    await chat.input.fill('/');
    await list(chat).waitFor();
    await chat.input.press('Shift+Tab');
    await list(chat).waitFor({ state: 'hidden' });
    assert.ok(!(await hasFocus(chat.input)), 'the keyboard can leave the field');
    await chat.input.focus();
    await list(chat).waitFor();
  });

  scene(stage, 'many commands scroll on a phone, to where the keys are', async (people) => {
    const commands = Array.from({ length: 60 }, (_, n) => `command-${n}: ${'What it does '.repeat(8)}`);
    const channel = await stage.claw.channel('commands-phone', { commands });
    const chat = await people.opens(channel.page, PHONE);
    await knows(chat);
    await chat.input.pressSequentially('/');
    await list(chat).waitFor();
    await chat.input.press('ArrowUp');
    const [around, last] = [await list(chat).boundingBox(), await options(chat).last().boundingBox()];
    assert.ok(around.x >= 0 && around.y >= 0 && around.x + around.width <= 360, JSON.stringify(around));
    assert.ok(last.y >= around.y && last.y + last.height <= around.y + around.height, JSON.stringify([around, last]));
    await chat.input.press('ArrowDown');
    const first = await options(chat).first().boundingBox();
    assert.ok(first.y >= around.y, JSON.stringify([around, first]));
    await options(chat).nth(1).tap();
    assert.equal(await chat.input.inputValue(), '/command-1 ');
  });

  scene(stage, 'what commands do is shown as it was written, and who has none shows no list', async (people) => {
    const hostile = await people.opens((await stage.claw.channel('commands-hostile', { commands: [`x: ${HOSTILE}`] })).page);
    await knows(hostile);
    await hostile.input.pressSequentially('/');
    assert.deepEqual(await options(hostile).allInnerTexts(), [`/x ${HOSTILE}`]);
    const left = await hostile.page.evaluate(() => [window.harmed, document.querySelectorAll('#offers :is(img, b, strong)').length]);
    assert.deepEqual(left, [undefined, 0]);

    const channel = await stage.claw.channel('commands-none');
    const none = await people.opens(channel.page);
    await none.tells(stage, channel, 'Hello');
    await none.input.pressSequentially('/');
    assert.equal(await list(none).isVisible(), false);
    assert.equal(await none.input.getAttribute('aria-haspopup'), null);
  });

  for (const [theme, background] of [['light', 'rgb(255, 255, 255)'], ['dark', 'rgb(20, 24, 31)']]) {
    scene(stage, `the rules of accessibility have nothing against the list of commands, ${theme}`, async (people) => {
      const channel = await stage.claw.channel(`commands-${theme}`, { theme, commands: COMMANDS });
      const chat = await people.opens(channel.page);
      await knows(chat);
      await chat.input.pressSequentially('/');
      await list(chat).waitFor();
      assert.equal(await list(chat).evaluate((node) => getComputedStyle(node).backgroundColor), background);
      assert.deepEqual(await faults(chat.page), []);
    });
  }
};

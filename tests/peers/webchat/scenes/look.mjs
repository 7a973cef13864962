// How it looks: light or dark, its colour, and on a phone.

import assert from 'node:assert/strict';

import { scene } from '../people.mjs';

const style = (locator, name) => locator.evaluate((node, property) => getComputedStyle(node)[property], name);
const PHONE = { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
const DARK = 'rgb(20, 24, 31)';
const LIGHT = 'rgb(255, 255, 255)';

export default (stage) => {
  scene(stage, 'a channel says whether it is light or dark and which colour it has, and a site may say otherwise', async (people) => {
    const origins = [stage.sites.origin('shop'), stage.sites.origin('blog')];
    const channel = await stage.claw.channel('look', { theme: 'dark', accent: '#ffd400', allowed_origins: origins });
    const chat = await people.opensWidget(stage.sites.page('shop', { channel: channel.id, title: 'Help', position: 'left' }), {}, 'Help');
    await chat.write('Look');
    const mine = await chat.shows('Look');
    assert.equal(await style(chat.root.locator('.chat'), 'backgroundColor'), DARK);
    assert.equal(await style(mine.locator('.bubble'), 'backgroundColor'), 'rgb(255, 212, 0)');
    assert.equal(await style(mine.locator('.bubble'), 'color'), 'rgb(0, 0, 0)');
    const button = await chat.page.getByRole('button', { name: 'Close Help' }).boundingBox();
    assert.ok(button.x < 100, 'the button is on the left');

    const tag = { channel: channel.id, theme: 'light', color: '#800000' };
    const other = await people.opensWidget(stage.sites.page('blog', tag));
    await other.write('Look');
    assert.equal(await style(other.root.locator('.chat'), 'backgroundColor'), LIGHT);
    assert.equal(await style((await other.shows('Look')).locator('.bubble'), 'backgroundColor'), 'rgb(128, 0, 0)');
    assert.equal(await style(other.page.getByRole('button', { name: 'Close Chat' }), 'backgroundColor'), 'rgb(128, 0, 0)');
  });

  scene(stage, 'without a theme it is as the visitor has it, and follows', async (people) => {
    const channel = await stage.claw.channel('auto');
    const chat = await people.opens(channel.page, { colorScheme: 'dark' });
    await chat.input.waitFor();
    assert.equal(await style(chat.root.locator('.chat'), 'backgroundColor'), DARK);
    await chat.page.emulateMedia({ colorScheme: 'light' });
    assert.equal(await style(chat.root.locator('.chat'), 'backgroundColor'), LIGHT);
  });

  scene(stage, 'on a phone the chat has the screen, and nothing is wider than it', async (people) => {
    const channel = await stage.claw.channel('phone', { allowed_origins: stage.sites.origin('shop') });
    const chat = await people.opensWidget(stage.sites.page('shop', { channel: channel.id }), PHONE);
    const heard = await chat.tells(stage, channel, 'wide'.repeat(60));
    const wide = `${'W'.repeat(200)}\n\n\`\`\`\n${'code '.repeat(60)}\n\`\`\`\n\nhttps://docs.example/${'path/'.repeat(40)}`;
    const buttons = [['One', 'Two', 'Three', 'Four'].map((text) => ({ text: `${text} ${'long'.repeat(6)}`, data: text }))];
    await channel.send(heard.recipient, { message: wide, buttons });
    await chat.shows('docs.example');
    const panel = await chat.page.getByRole('dialog', { name: 'Chat' }).boundingBox();
    assert.deepEqual(panel, { x: 0, y: 0, width: 360, height: 640 });
    const over = await chat.root.locator('html').evaluate((html) => [...html.querySelectorAll('*')]
      .filter((node) => !node.closest('pre, .unseen') && node.getBoundingClientRect().right > html.clientWidth + 1)
      .map((node) => node.outerHTML.slice(0, 80)));
    assert.deepEqual(over, []);
    const field = await chat.input.evaluate((node) => ({ font: parseFloat(getComputedStyle(node).fontSize), bottom: node.getBoundingClientRect().bottom }));
    assert.ok(field.font >= 16, 'iOS zooms into smaller fields');
    assert.ok(field.bottom <= 640, 'the field is in view');
    // The page's own button closes it, as the site's is behind it.
    await chat.root.getByRole('button', { name: 'Close chat' }).tap();
    await chat.page.getByRole('button', { name: 'Open Chat' }).waitFor();
  });
};

// Sites that may not have the chat, and chats that are not there.

import assert from 'node:assert/strict';

import { scene } from '../people.mjs';

const NOTE = 'The chat did not open. Either it can’t be reached just now, or it may not be shown on this site.';

export default (stage) => {
  scene(stage, 'a site that is not allowed is told plainly, and its visitors are', async (people) => {
    const channel = await stage.claw.channel('origins', { allowed_origins: stage.sites.origin('shop') });
    const page = await (await people.arrives({ viewport: { width: 360, height: 640 } })).newPage();
    const said = [];
    page.on('console', (message) => said.push(message.text()));
    await page.goto(stage.sites.page('evil', { channel: channel.id }));
    await page.getByRole('button', { name: 'Open Chat' }).click();
    await page.getByRole('alert').filter({ hasText: NOTE }).waitFor();
    assert.ok(said.some((text) => text.includes(`add ${stage.sites.origin('evil')} to the channel's allowed_origins`)), said.join('\n'));
    assert.equal(await page.frameLocator('iframe').locator('#input').count(), 0);
    // Also where the panel hides the site's button.
    await page.getByRole('button', { name: 'Close', exact: true }).click();
    await page.getByRole('button', { name: 'Open Chat' }).waitFor();
    assert.deepEqual(stage.backend.told('origins'), []);

    // Allowed later, it is enough to try again.
    await stage.claw.call('PUT', channel.path, { fields: { allowed_origins: [stage.sites.origin('evil')] } });
    await page.getByRole('button', { name: 'Open Chat' }).click();
    await page.frameLocator('iframe').getByRole('textbox', { name: 'Message' }).waitFor();
    assert.ok(await page.getByRole('alert').isHidden());
  }, { expects: [/frame-ancestors/, /allowed_origins/] });

  scene(stage, 'a page of another site opens no socket and sends no file', async (people) => {
    const channel = await stage.claw.channel('sockets', { allowed_origins: stage.sites.origin('shop') });
    const page = await (await people.arrives({ bypassCSP: true })).newPage();
    const opens = (address) => new Promise((told) => {
      const socket = new WebSocket(address);
      socket.onopen = () => told('opened');
      socket.onclose = () => told('closed');
    });
    const sends = (address) =>
      fetch(address, { method: 'POST', headers: { 'II-Claw-Visitor': '0123456789abcdef' }, body: 'x' }).then(() => 'sent', () => 'refused');
    const addresses = {
      ws: `${channel.page.replace('http', 'ws')}/ws?visitor=0123456789abcdef`,
      files: `${channel.page}/files?client_id=1&name=x`,
    };
    await page.goto(stage.sites.page('evil'));
    assert.equal(await page.evaluate(opens, addresses.ws), 'closed');
    assert.equal(await page.evaluate(sends, addresses.files), 'refused');
    await page.goto(stage.sites.page('shop'));
    assert.equal(await page.evaluate(opens, addresses.ws), 'opened');
    await (await people.opens(channel.page)).tells(stage, channel, 'Only this');
    assert.deepEqual(stage.backend.told('sockets').map(({ text }) => text), ['Only this']);
  }, { expects: [/WebSocket/, /CORS/, /ERR_FAILED/, /status of 40/] });

  scene(stage, 'a chat that was switched off says so, and opens once it is on again', async (people) => {
    const channel = await stage.claw.channel('off', { allowed_origins: stage.sites.origin('shop') });
    await stage.claw.call('PUT', channel.path, { enabled: false });
    const page = await (await people.arrives()).newPage();
    await page.goto(stage.sites.page('shop', { channel: channel.id }));
    await page.getByRole('button', { name: 'Open Chat' }).click();
    await page.frameLocator('iframe').getByText('This chat does not exist or is switched off.').waitFor();
    await page.getByRole('alert').filter({ hasText: NOTE }).waitFor();

    // Switched on, it is enough to try again.
    await stage.claw.call('PUT', channel.path, { enabled: true });
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.frameLocator('iframe').getByRole('textbox', { name: 'Message' }).waitFor();
    assert.equal(await page.locator('iframe').count(), 1);
    assert.ok(await page.getByRole('alert').isHidden());
  }, { expects: [/status of 404/, /allowed_origins/] });
};

// Faults: a network that goes, a gateway that dies. What was written meanwhile arrives once, in order.

import assert from 'node:assert/strict';

import { scene } from '../people.mjs';

const UNREACHABLE = [/WebSocket/, /ERR_CONNECTION/, /ERR_INTERNET_DISCONNECTED/, /ERR_EMPTY_RESPONSE/];

export default (stage) => {
  scene(stage, 'what is written without a network is sent when it is back', async (people) => {
    const channel = await stage.claw.channel('offline');
    const context = await people.arrives();
    const chat = await people.opensIn(context, channel.page);
    const heard = await chat.tells(stage, channel, 'before');
    await context.setOffline(true);
    await chat.root.getByRole('status').filter({ hasText: 'You are offline.' }).waitFor();
    await chat.write('meanwhile');
    await chat.message('meanwhile').getByText('Sending…').waitFor();
    await channel.send(heard.recipient, 'missed');
    await context.setOffline(false);
    assert.equal((await stage.backend.hears('offline')).text, 'meanwhile');
    await chat.sent('meanwhile');
    await chat.shows('missed');
    assert.deepEqual(await chat.texts(), ['before', 'missed', 'meanwhile']);
    await chat.root.locator('#status').waitFor({ state: 'hidden' });
  }, { expects: UNREACHABLE });

  scene(stage, 'a gateway that dies and comes back: nothing is lost, nothing is doubled', async (people) => {
    const channel = await stage.claw.channel('crash', { allowed_origins: stage.sites.origin('shop') });
    const chat = await people.opensWidget(stage.sites.page('shop', { channel: channel.id }));
    const heard = await chat.tells(stage, channel, 'zero');
    const written = ['zero', 'one', 'two', 'three', 'four', 'five'];
    // Some are on their way when it dies, some are written while it is away.
    for (const text of written.slice(1, 4)) await chat.write(text);
    await stage.claw.stop('SIGKILL');
    for (const text of written.slice(4)) await chat.write(text);
    await chat.root.getByRole('status').filter({ hasText: 'Reconnecting…' }).waitFor();
    await chat.message('five').getByText('Sending…').waitFor();
    await stage.claw.start();
    await chat.sent('five');
    await chat.root.locator('#status').waitFor({ state: 'hidden' });
    while (stage.backend.told('crash').at(-1).text !== 'five') await stage.backend.hears('crash');
    assert.deepEqual(stage.backend.told('crash').map(({ text }) => text), written);
    await channel.send(heard.recipient, 'Six.');
    await chat.shows('Six.');
    assert.deepEqual(await chat.texts(), [...written, 'Six.']);
    await chat.page.reload();
    await chat.page.getByRole('button', { name: 'Open Chat' }).click();
    await chat.shows('Six.');
    assert.deepEqual(await chat.texts(), [...written, 'Six.']);
  }, { expects: UNREACHABLE });

  scene(stage, 'what a tab wrote before it was closed is sent by the next one', async (people) => {
    const channel = await stage.claw.channel('closed');
    const context = await people.arrives();
    const chat = await people.opensIn(context, channel.page);
    await chat.tells(stage, channel, 'before');
    await context.setOffline(true);
    await chat.root.getByRole('status').filter({ hasText: 'You are offline.' }).waitFor();
    await chat.write('kept');
    await chat.shows('kept');
    await chat.page.close();
    await context.setOffline(false);
    const next = await people.opensIn(context, channel.page);
    assert.equal((await stage.backend.hears('closed')).text, 'kept');
    await next.sent('kept');
    assert.deepEqual(await next.texts(), ['before', 'kept']);
  }, { expects: UNREACHABLE });

  scene(stage, 'a gateway that is away when the page is there already is told of, and the file waits for it', async (people) => {
    const channel = await stage.claw.channel('file-waits');
    const chat = await people.opens(channel.page);
    await chat.tells(stage, channel, 'first');
    await stage.claw.stop('SIGKILL');
    await chat.root.getByRole('status').filter({ hasText: 'Reconnecting…' }).waitFor();
    await chat.root.locator('#file').setInputFiles({ name: 'late.txt', mimeType: 'text/plain', buffer: Buffer.from('late') });
    await chat.write('after the file');
    await stage.claw.start();
    const file = await stage.backend.hears('file-waits');
    assert.equal(file.media_filename, 'late.txt');
    assert.equal((await stage.backend.hears('file-waits')).text, 'after the file');
    await chat.sent('after the file');
  }, { expects: UNREACHABLE });
};

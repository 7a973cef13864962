// What is kept apart, and what is not: sites, channels, visitors, and the tabs of one visitor.

import assert from 'node:assert/strict';

import { Chat, scene } from '../people.mjs';

export default (stage) => {
  /** A tab with a site that has the channel's chat, which is opened. */
  const opensOn = async (context, site, channel) => {
    const page = await context.newPage();
    await page.goto(stage.sites.page(site, { channel: channel.id }));
    await page.getByRole('button', { name: 'Open Chat' }).click();
    return new Chat(page, page.frameLocator('iframe'));
  };

  scene(stage, 'two sites with two channels do not mix', async (people) => {
    const context = await people.arrives();
    const open = async (name) => {
      const channel = await stage.claw.channel(`of-${name}`, { allowed_origins: stage.sites.origin(name) });
      return { channel, chat: await opensOn(context, name, channel) };
    };
    const shop = await open('shop');
    const blog = await open('blog');
    const asked = await shop.chat.tells(stage, shop.channel, 'Said in the shop');
    const other = await blog.chat.tells(stage, blog.channel, 'Said in the blog');
    assert.notEqual(asked.recipient, other.recipient);
    await blog.channel.send(other.recipient, 'Heard in the blog');
    await shop.channel.send(asked.recipient, 'Heard in the shop');
    await shop.chat.shows('Heard in the shop');
    await blog.chat.shows('Heard in the blog');
    assert.deepEqual(await shop.chat.texts(), ['Said in the shop', 'Heard in the shop']);
    assert.deepEqual(await blog.chat.texts(), ['Said in the blog', 'Heard in the blog']);
    assert.deepEqual(stage.backend.told('of-shop').map(({ text }) => text), ['Said in the shop']);
  });

  scene(stage, 'two sites with one channel do not mix where each has a visitor of its own', async (people) => {
    const channel = await stage.claw.channel('sites', { allowed_origins: ['shop', 'blog'].map((name) => stage.sites.origin(name)) });
    const context = await people.arrives();
    const shop = await opensOn(context, 'shop', channel);
    const blog = await opensOn(context, 'blog', channel);
    await blog.input.waitFor();
    const asked = await shop.tells(stage, channel, 'Said in the shop');
    await shop.sent('Said in the shop'); // then it is told to the visitor's other tabs
    const other = await blog.tells(stage, channel, 'Said in the blog');
    await blog.sent('Said in the blog');
    assert.notEqual(asked.recipient, other.recipient);
    await channel.send(asked.recipient, 'Heard in the shop');
    await channel.send(other.recipient, 'Heard in the blog');
    await shop.shows('Heard in the shop');
    await blog.shows('Heard in the blog');
    assert.deepEqual(await shop.texts(), ['Said in the shop', 'Heard in the shop']);
    assert.deepEqual(await blog.texts(), ['Said in the blog', 'Heard in the blog']);
  });

  scene(stage, 'two channels on one site have a button and a conversation each', async (people) => {
    const origin = stage.sites.origin('shop');
    const sales = await stage.claw.channel('sales', { allowed_origins: origin });
    const support = await stage.claw.channel('support', { allowed_origins: origin });
    const tags = [{ channel: sales.id, title: 'Sales' }, { channel: support.id, title: 'Support' }, { channel: sales.id, title: 'Again' }];
    const page = await (await people.arrives()).newPage();
    await page.goto(stage.sites.page('shop', ...tags));
    const open = async (title) => {
      await page.getByRole('button', { name: `Open ${title}` }).click();
      return new Chat(page, page.frameLocator(`iframe[title="${title}"]`));
    };
    const first = await open('Sales');
    const heard = await first.tells(stage, sales, 'To sales');
    const second = await open('Support');
    await page.getByRole('dialog', { name: 'Sales' }).waitFor({ state: 'hidden' });
    await second.tells(stage, support, 'To support');
    await sales.send(heard.recipient, 'From sales');
    await page.getByRole('button', { name: 'Open Sales, new message' }).click();
    await first.shows('From sales');
    assert.deepEqual(await first.texts(), ['To sales', 'From sales']);
    assert.deepEqual(await second.texts(), ['To support']);
    assert.equal(await page.getByRole('button', { name: 'Again' }).count(), 0, 'a second tag of a channel does nothing');
  });

  scene(stage, 'two visitors of one channel do not hear one another', async (people) => {
    const channel = await stage.claw.channel('public');
    const ada = await people.opens(channel.page);
    const bob = await people.opens(channel.page);
    const heard = await ada.tells(stage, channel, 'I am Ada');
    const other = await bob.tells(stage, channel, 'I am Bob');
    await channel.send(heard.recipient, 'Hello Ada');
    await channel.send(other.recipient, 'Hello Bob');
    await ada.shows('Hello Ada');
    await bob.shows('Hello Bob');
    assert.deepEqual(await ada.texts(), ['I am Ada', 'Hello Ada']);
    assert.deepEqual(await bob.texts(), ['I am Bob', 'Hello Bob']);
  });

  scene(stage, 'two tabs of one visitor show one conversation', async (people) => {
    const channel = await stage.claw.channel('tabs', { events: ['edits', 'deletions'] });
    const context = await people.arrives();
    const here = await people.opensIn(context, channel.page);
    const first = await here.tells(stage, channel, 'said here');
    const there = await people.opensIn(context, channel.page);
    await there.shows('said here');
    const second = await there.tells(stage, channel, 'said there');
    assert.equal(second.recipient, first.recipient);
    await here.shows('said there');
    await channel.send(first.recipient, 'to both');
    const conversation = ['said here', 'said there', 'to both'];
    for (const chat of [here, there]) {
      await chat.shows('to both');
      assert.deepEqual(await chat.texts(), conversation);
    }
    await here.message('said there').getByRole('button', { name: 'Edit this message' }).click();
    await here.write('said better');
    await there.shows('said better');
    await there.message('to both').getByRole('button', { name: 'Good answer' }).click();
    await here.message('to both').getByRole('button', { name: 'Good answer', pressed: true }).waitFor();
    await there.message('said here').getByRole('button', { name: 'Delete this message' }).click();
    await there.message('said here').getByRole('button', { name: 'Really delete this message?' }).click();
    await here.misses('said here');
    await here.root.locator('#file').setInputFiles({ name: 'seen.txt', mimeType: 'text/plain', buffer: Buffer.from('seen') });
    await there.root.getByRole('link', { name: 'seen.txt' }).waitFor();
    await here.page.reload();
    await here.shows('to both');
    assert.deepEqual(await here.texts(), await there.texts());
  });

  scene(stage, 'a tab that came later shows what the first one writes behind what was there', async (people) => {
    const channel = await stage.claw.channel('later-tab');
    const context = await people.arrives();
    const here = await people.opensIn(context, channel.page);
    const heard = await here.tells(stage, channel, 'one');
    await here.sent('one');
    const there = await people.opensIn(context, channel.page);
    await there.shows('one');
    await here.tells(stage, channel, 'two');
    await there.shows('two');
    assert.deepEqual(await there.texts(), ['one', 'two']);
    await there.tells(stage, channel, 'three');
    await here.shows('three');
    await here.tells(stage, channel, 'four');
    await channel.send(heard.recipient, 'five');
    for (const chat of [here, there]) {
      await chat.shows('four');
      await chat.shows('five');
      assert.deepEqual(await chat.texts(), ['one', 'two', 'three', 'four', 'five']);
    }
  });
};

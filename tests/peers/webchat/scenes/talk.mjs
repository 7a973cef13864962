// A conversation: what is written, answered, changed, taken back and pressed, on both sides.

import assert from 'node:assert/strict';

import { scene } from '../people.mjs';

export default (stage) => {
  scene(stage, 'a visitor of a site writes and is answered', async (people) => {
    const channel = await stage.claw.channel('talk', { allowed_origins: stage.sites.origin('shop'), greeting: 'Hello!' });
    const chat = await people.opensWidget(stage.sites.page('shop', { channel: channel.id }));
    await chat.shows('Hello!');
    const heard = await chat.tells(stage, channel, 'What is new?');
    assert.equal(heard.channel, 'webchat');
    assert.equal(heard.sender.display_name, 'Visitor');
    await chat.sent('What is new?');
    await channel.send(heard.recipient, 'All is well.');
    await chat.shows('All is well.');
    assert.deepEqual(await chat.texts(), ['Hello!', 'What is new?', 'All is well.']);
  });

  scene(stage, 'an answer that comes while the chat is closed is told by a dot and is there when it opens', async (people) => {
    const channel = await stage.claw.channel('dot', { allowed_origins: stage.sites.origin('shop') });
    const chat = await people.opensWidget(stage.sites.page('shop', { channel: channel.id }));
    const heard = await chat.tells(stage, channel, 'Call me');
    for (let n = 1; n <= 30; n += 1) await channel.send(heard.recipient, `line ${n} of many`);
    await chat.shows('line 30 of many');
    await chat.page.getByRole('button', { name: 'Close Chat' }).click();
    const { id } = await channel.send(heard.recipient, 'Here I am.');
    const unread = chat.page.getByRole('button', { name: 'Open Chat, new message' });
    await unread.waitFor();
    assert.equal((await channel.message(id)).read_at, null, 'nobody saw it yet');
    const seen = chat.tellsOf(({ type, read, messages }) => type === 'received' && read && messages.includes(id));
    await unread.click();
    const answer = await chat.shows('Here I am.');
    await chat.page.getByRole('button', { name: 'Close Chat', exact: true }).waitFor();
    await seen;
    assert.ok((await channel.message(id)).read_at, 'the gateway knows that it was seen');
    // The end of the conversation is what is in view.
    await answer.evaluate((node) => new Promise((seen) => {
      new IntersectionObserver(([entry]) => { if (entry.isIntersecting) seen(); }).observe(node);
    }));
    assert.ok(await chat.latest.isHidden());
  });

  scene(stage, 'that an answer is being written shows until it is there', async (people) => {
    const channel = await stage.claw.channel('typing');
    const chat = await people.opens(channel.page);
    const heard = await chat.tells(stage, channel, 'Think about it');
    await chat.typing.waitFor({ state: 'attached' });
    await chat.root.locator('#typing:not([hidden])').waitFor();
    await channel.send(heard.recipient, 'Thought.');
    await chat.shows('Thought.');
    await chat.root.locator('#typing[hidden]').waitFor({ state: 'attached' });
    await channel.typing(heard.recipient);
    await chat.root.locator('#typing:not([hidden])').waitFor();
  });

  scene(stage, 'an answer grows in one bubble while it is written', async (people) => {
    const channel = await stage.claw.channel('stream');
    const chat = await people.opens(channel.page);
    const begins = stage.backend.streams(channel.user);
    await chat.tells(stage, channel, 'Tell me a story');
    const stream = await begins;
    stream.say('Once upon a time there was a **bear** ');
    const draft = await chat.shows('Once upon a time');
    assert.equal(await draft.getAttribute('aria-busy'), 'true');
    stream.say('who lived in a forest.');
    stream.end();
    await chat.shows('who lived in a forest.');
    await chat.root.locator('.msg.agent[aria-busy="false"]').waitFor();
    const whole = 'Once upon a time there was a bear who lived in a forest.';
    assert.deepEqual(await chat.texts(), ['Tell me a story', whole]);
    await chat.page.reload();
    await chat.shows('who lived');
    assert.deepEqual(await chat.texts(), ['Tell me a story', whole]);
  });

  scene(stage, 'the agent changes, reacts and takes back, and a page that comes later sees the same', async (people) => {
    const channel = await stage.claw.channel('deeds');
    const chat = await people.opens(channel.page);
    const heard = await chat.tells(stage, channel, 'How much?');
    const price = await channel.send(heard.recipient, 'It costs 10.');
    const slip = await channel.send(heard.recipient, 'Not for you.');
    await chat.shows('Not for you.');
    await channel.edit(price.id, { message: 'It costs **12**.' });
    await chat.shows('It costs 12.');
    await channel.delete(slip.id);
    await chat.misses('Not for you.');
    await channel.react(heard.id, '🎉');
    await chat.message('How much?').getByText('🎉').waitFor();
    await chat.page.reload();
    await chat.shows('It costs 12.');
    await chat.message('How much?').getByText('🎉').waitFor();
    assert.deepEqual(await chat.texts(), ['How much?', 'It costs 12.']);
  });

  scene(stage, 'the visitor changes and takes back what it wrote, and the backend hears of it', async (people) => {
    const channel = await stage.claw.channel('owndeeds', { events: ['edits', 'deletions', 'reactions'] });
    const chat = await people.opens(channel.page);
    const first = await chat.tells(stage, channel, 'I want two');
    await chat.message('I want two').getByRole('button', { name: 'Edit this message' }).click();
    assert.equal(await chat.input.inputValue(), 'I want two');
    const edited = await chat.tells(stage, channel, 'I want three');
    assert.deepEqual([edited.metadata.event, edited.metadata.edited_message_id], ['message_edited', first.id]);
    await chat.misses('I want two');
    const answer = await channel.send(first.recipient, 'Three it is.');
    await (await chat.shows('Three it is.')).getByRole('button', { name: 'Good answer' }).click();
    const thumb = await stage.backend.hears(channel.user);
    assert.deepEqual([thumb.metadata.event, thumb.text, thumb.metadata.answer_id], ['message_reaction', '👍', answer.id]);
    await chat.message('I want three').getByRole('button', { name: 'Delete this message' }).click();
    await chat.message('I want three').getByRole('button', { name: 'Really delete this message?' }).click();
    const deleted = await stage.backend.hears(channel.user);
    assert.deepEqual([deleted.metadata.event, deleted.metadata.deleted_message_id], ['message_deleted', first.id]);
    await chat.misses('I want three');
    await chat.page.reload();
    await chat.shows('Three it is.');
    assert.deepEqual(await chat.texts(), ['Three it is.']);
    await chat.root.getByRole('button', { name: 'Good answer', pressed: true }).waitFor();
  });

  scene(stage, 'whether a message is really to be deleted is asked for some seconds', async (people) => {
    const channel = await stage.claw.channel('asked', { events: ['deletions'] });
    const chat = await people.opens(channel.page);
    await chat.tells(stage, channel, 'keep me');
    const button = (name) => chat.message('keep me').getByRole('button', { name, exact: true });
    await button('Delete this message').click();
    await button('Really delete this message?').waitFor();
    await button('Delete this message').waitFor(); // by itself
    assert.equal(await button('Delete this message').evaluate((node) => document.activeElement === node), true);
    await button('Delete this message').click();
    await button('Really delete this message?').waitFor();
  });

  scene(stage, 'a message whose deletion is refused is there again, and asks before it is deleted', async (people) => {
    const channel = await stage.claw.channel('undeleted', { events: ['deletions'] });
    const chat = await people.opens(channel.page);
    await chat.tells(stage, channel, 'keep me');
    await chat.sent('keep me');
    // More at once than the gateway takes, the deletion last.
    await chat.message('keep me').evaluate((node) => {
      const input = document.getElementById('input');
      for (let n = 1; n <= 20; n += 1) {
        input.value = `number ${n}.`;
        input.form.requestSubmit();
      }
      const button = node.querySelector('.meta button');
      button.click();
      button.click();
    });
    await chat.root.getByRole('alert').filter({ hasText: 'That was a lot at once.' }).waitFor();
    await chat.message('keep me').getByRole('button', { name: 'Delete this message', exact: true }).waitFor();
    assert.equal((await chat.texts())[0], 'keep me');
  });

  scene(stage, 'a button says what is on it and sends what is behind it', async (people) => {
    const channel = await stage.claw.channel('buttons');
    const chat = await people.opens(channel.page);
    const heard = await chat.tells(stage, channel, 'Shall we?');
    const buttons = [[{ text: 'Yes, please', data: 'yes:1' }, { text: 'Read more', url: 'https://docs.example/more' }]];
    const asked = await channel.send(heard.recipient, { message: 'Do you agree?', buttons });
    const question = await chat.shows('Do you agree?');
    const link = question.getByRole('link', { name: 'Read more' });
    assert.equal(await link.getAttribute('href'), 'https://docs.example/more');
    assert.equal(await link.getAttribute('rel'), 'noopener noreferrer');
    await question.getByRole('button', { name: 'Yes, please' }).click();
    const pressed = await stage.backend.hears(channel.user);
    assert.deepEqual([pressed.content_type, pressed.text], ['button', 'yes:1']);
    await chat.sent('Yes, please');
    await channel.edit(asked.id, { message: 'You agreed.', buttons: [] });
    await chat.shows('You agreed.');
    await question.waitFor({ state: 'detached' });
    assert.equal(await chat.root.getByRole('button', { name: 'Yes, please' }).count(), 0);
    await chat.page.reload();
    await chat.shows('You agreed.');
    assert.deepEqual(await chat.texts(), ['Shall we?', 'You agreed.', 'Yes, please']);
  });

  scene(stage, 'who reads further up is not moved by an answer, and is told of it', async (people) => {
    const channel = await stage.claw.channel('scrolled');
    const chat = await people.opens(channel.page);
    const heard = await chat.tells(stage, channel, 'Tell me all');
    await channel.send(heard.recipient, Array.from({ length: 60 }, (_, n) => `- point ${n}`).join('\n'));
    await chat.shows('point 59');
    const scroller = chat.root.getByRole('main', { name: 'Conversation' });
    await scroller.evaluate((node) => new Promise((moved) => {
      node.addEventListener('scroll', moved, { once: true });
      node.scrollTop = 0;
    }));
    await channel.send(heard.recipient, 'And one thing more.');
    await chat.latest.waitFor();
    assert.equal(await scroller.evaluate((node) => node.scrollTop), 0);
    await chat.latest.click();
    await chat.latest.waitFor({ state: 'hidden' });
    assert.ok(await scroller.evaluate((node) => node.scrollHeight - node.scrollTop - node.clientHeight < 2));
    assert.equal(await chat.input.evaluate((node) => document.activeElement === node), true);
  });

  scene(stage, 'too long a text is not sent, and what is refused is kept with the reason', async (people) => {
    const channel = await stage.claw.channel('limits');
    const chat = await people.opens(channel.page);
    await chat.input.fill('x'.repeat(16_001));
    await chat.root.getByText('16,001 / 16,000').waitFor();
    assert.ok(await chat.root.getByRole('button', { name: 'Send', exact: true }).isDisabled());
    await chat.input.evaluate((node) => {
      for (let n = 1; n <= 21; n += 1) {
        node.value = `number ${n}.`;
        node.form.requestSubmit();
      }
    });
    const last = await chat.shows('number 21.');
    await last.getByText('That was a lot at once. Please wait a few seconds before sending more.').waitFor();
    await last.getByRole('button', { name: 'Discard' }).click();
    await chat.misses('number 21.');
    await chat.sent('number 20.');
    while (stage.backend.told('limits').length < 20) await stage.backend.hears('limits');
    const sent = Array.from({ length: 20 }, (_, n) => `number ${n + 1}.`);
    assert.deepEqual(stage.backend.told('limits').map(({ text }) => text), sent);
    await chat.page.reload();
    await chat.shows('number 20.');
    assert.deepEqual(await chat.texts(), sent);
  });

  scene(stage, 'a reload keeps the conversation, and who comes back to a site has it too', async (people) => {
    const channel = await stage.claw.channel('reload', { allowed_origins: [stage.sites.origin('shop')] });
    const chat = await people.opensWidget(stage.sites.page('shop', { channel: channel.id }));
    const heard = await chat.tells(stage, channel, 'one');
    for (const text of ['two', 'three']) {
      await channel.send(heard.recipient, text);
      await chat.shows(text);
    }
    await chat.tells(stage, channel, 'four');
    await chat.sent('four');
    const said = await chat.texts();
    assert.deepEqual(said, ['one', 'two', 'three', 'four']);
    await chat.page.reload();
    await channel.send(heard.recipient, 'five');
    await chat.page.getByRole('button', { name: 'Open Chat' }).click();
    await chat.shows('five');
    assert.deepEqual(await chat.texts(), [...said, 'five']);
    // What this browser may not do: keep it in the frame.
    const [, kept] = await chat.page.evaluate(() => Object.entries(localStorage).find(([name]) => name.endsWith('/visitor')));
    assert.match(kept, /^[0-9a-f]{32}$/);
  });

  scene(stage, 'a link names nobody as the visitor', async (people) => {
    const channel = await stage.claw.channel('fixed');
    const fixed = '0123456789abcdef'.repeat(2);
    const chat = await people.opens(`${channel.page}?embed=1#visitor=${fixed}`);
    assert.notEqual(await chat.page.evaluate(() => Object.values(localStorage)[0]), fixed);
  });
};

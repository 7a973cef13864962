// What stands for an answer until it is there: it goes then, from the open page and for whoever comes later.

import assert from 'node:assert/strict';

import { scene } from '../people.mjs';

const AT_ONCE = 'Processing...';

export default (stage) => {
  scene(stage, 'what the backend shows at once goes when its answer is there', async (people) => {
    const channel = await stage.claw.channel('atonce');
    const chat = await people.opens(channel.page);
    stage.backend.answers(channel.user, { immediate_reply: AT_ONCE, async_processing: true });
    const heard = await chat.tells(stage, channel, 'How is the weather?');
    await chat.shows(AT_ONCE);
    await channel.send(heard.recipient, 'It will be sunny.');
    await chat.shows('It will be sunny.');
    await chat.misses(AT_ONCE);
    assert.deepEqual(await chat.texts(), ['How is the weather?', 'It will be sunny.']);
    await chat.page.reload();
    await chat.shows('It will be sunny.');
    assert.deepEqual(await chat.texts(), ['How is the weather?', 'It will be sunny.']);
  });

  scene(stage, 'what a stream shows at once goes when the answer has grown to its end', async (people) => {
    const channel = await stage.claw.channel('atoncestream');
    const chat = await people.opens(channel.page);
    const begins = stage.backend.streams(channel.user);
    await chat.tells(stage, channel, 'Tell me a story');
    const stream = await begins;
    stream.shows(AT_ONCE);
    await chat.shows(AT_ONCE);
    stream.say('Once upon a time there was a bear ');
    await chat.shows('Once upon a time');
    stream.say('who lived in a forest.');
    stream.end();
    const whole = 'Once upon a time there was a bear who lived in a forest.';
    await chat.shows('who lived in a forest.');
    await chat.misses(AT_ONCE);
    assert.deepEqual(await chat.texts(), ['Tell me a story', whole]);
    await chat.page.reload();
    await chat.shows('who lived');
    assert.deepEqual(await chat.texts(), ['Tell me a story', whole]);
  });
};

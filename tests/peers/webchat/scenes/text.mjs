// Texts: Markdown is shown as what it means, and nothing that anybody wrote ever runs.

import assert from 'node:assert/strict';

import { scene } from '../people.mjs';

const MARKDOWN = `# Plan

Some **bold**, some *slanted*, some \`code\` and [a link](https://docs.example/a?b=1&c=2).

1. first
2. second
   - inner

---

\`\`\`js
const a = "<b>";
\`\`\`
`;

const HOSTILE = [
  '<script>window.harmed = 1</script>',
  '<img src=x onerror="window.harmed = 2">',
  '[click](javascript:window.harmed=3)',
  '[click](JaVaScRiPt:window.harmed=4) and [more](data:text/html,<script>window.harmed=5</script>)',
  '![picture](https://pictures.example/track.png)',
  '<svg onload="window.harmed = 6">',
  '<https://docs.example/"onmouseover="window.harmed=7>',
  '`</code><script>window.harmed = 8</script>`',
  '"><iframe srcdoc="<script>parent.harmed = 9</script>"></iframe>',
];

export default (stage) => {
  scene(stage, 'Markdown is shown as what it means', async (people) => {
    const channel = await stage.claw.channel('markdown');
    const chat = await people.opens(channel.page);
    const heard = await chat.tells(stage, channel, 'Write it **down**');
    await channel.send(heard.recipient, MARKDOWN);
    const { html } = await (await chat.shows('Plan')).locator('.bubble').evaluate((node) => ({
      html: node.innerHTML.replace(/ (?:target|rel|tabindex|start)="[^"]*"/g, ''),
    }));
    assert.equal(
      html,
      '<p><strong>Plan</strong></p>' +
        '<p>Some <strong>bold</strong>, some <em>slanted</em>, some <code>code</code> and ' +
        '<a href="https://docs.example/a?b=1&amp;c=2">a link</a>.</p>' +
        '<ol><li><p>first</p></li><li><p>second</p><ul><li><p>inner</p></li></ul></li></ol><hr>' +
        '<pre><code>const a = "&lt;b&gt;";</code></pre>',
    );
    // What visitors write, and what is said to be plain, stays as it was written.
    await chat.shows('Write it **down**');
    await channel.send(heard.recipient, { message: '2 * 3 * 4 = **24**', format: 'plain' });
    await chat.shows('2 * 3 * 4 = **24**');
  });

  scene(stage, 'nothing that anybody writes runs', async (people) => {
    const hostile = HOSTILE.join('\n\n');
    const fields = { title: HOSTILE[0], greeting: `${HOSTILE[1]} {{NONCE}}`, events: ['edits'] };
    const channel = await stage.claw.channel('hostile', fields, { instance_name: HOSTILE[1] });
    const chat = await people.opens(channel.page);
    const asked = [];
    chat.page.on('request', (request) => asked.push(request.url()));
    const heard = await chat.tells(stage, channel, HOSTILE.slice(0, 3).join(' '));
    const buttons = [[{ text: HOSTILE[1], data: HOSTILE[2] }]];
    const sent = await channel.send(heard.recipient, { message: hostile, buttons });
    await chat.shows('picture');
    await channel.edit(sent.id, { message: `${hostile}\n\nagain`, buttons });
    await chat.shows('again');
    await channel.send(heard.recipient, { file_url: stage.backend.picture, filename: '<img src=x onerror=alert(1)>.html' });
    await chat.root.getByRole('link', { name: '.html' }).waitFor();
    await chat.root.getByRole('button', { name: 'onerror' }).click();
    assert.equal((await stage.backend.hears(channel.user)).text, HOSTILE[2]);
    await chat.page.reload();
    await chat.shows('again');
    const left = await chat.page.evaluate(() => ({
      harmed: window.harmed,
      strangers: document.querySelectorAll('#log :is(script, img, iframe, svg), h1 *').length,
      links: [...document.querySelectorAll('#log a')].map((a) => new URL(a.href).protocol),
      handlers: [...document.querySelectorAll('*')].filter((node) => [...node.attributes].some((a) => a.name.startsWith('on'))).length,
    }));
    assert.deepEqual(left, { harmed: undefined, strangers: 0, links: ['https:', 'https:', 'http:'], handlers: 0 });
    assert.deepEqual(asked.filter((url) => url.includes('track.png')), [], 'a picture in a text is not loaded');
    assert.equal(await chat.page.title(), HOSTILE[0]);
  });
};

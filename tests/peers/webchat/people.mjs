// Visitors with a real browser. What their browsers complain of fails the test, unless the test expects just that.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

import { chromium } from 'playwright-core';

const PICTURES = resolve(import.meta.dirname, '../../../target/webchat-peer');
const PATIENCE_MS = 60_000;
const SCENE_MS = 300_000;

/** The sockets that a page opened. */
const sockets = new WeakMap();

/** All hosts `.example` are this machine. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.II_CLAW_CHROMIUM || '/usr/bin/chromium',
    args: ['--host-resolver-rules=MAP *.example 127.0.0.1', '--no-proxy-server'],
  });
}

/** A test with visitors of its own. `expects`: what browsers may complain of here. */
export function scene(stage, name, play, { expects = [] } = {}) {
  test(name, { timeout: SCENE_MS }, async () => {
    const people = new People(stage.browser, expects);
    try {
      await play(people);
      assert.deepEqual(people.complaints, [], 'what the browser complains of');
    } catch (error) {
      await people.photograph(name);
      for (const complaint of people.complaints) console.error(`the browser complains: ${complaint}`);
      throw error;
    } finally {
      await people.leave();
    }
  });
}

class People {
  #browser;
  #expects;
  #contexts = [];
  /** What browsers said in their consoles as warnings and errors, breaches of a policy among it. */
  complaints = [];

  constructor(browser, expects) {
    this.#browser = browser;
    this.#expects = expects;
  }

  /** A browser that was never here. */
  async arrives(options = {}) {
    const context = await this.#browser.newContext({ locale: 'en-GB', ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    context.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.#complain(`${message.text()} (${message.location().url})`);
    });
    context.on('page', (page) => {
      sockets.set(page, []);
      page.on('websocket', (socket) => sockets.get(page).push(socket));
    });
    context.on('weberror', (error) => this.#complain(String(error.error())));
    this.#contexts.push(context);
    return context;
  }

  #complain(text) {
    if (!this.#expects.some((expected) => expected.test(text))) this.complaints.push(text);
  }

  /** A tab with the chat's own page. */
  async opens(url, options) {
    return this.opensIn(await this.arrives(options), url);
  }

  async opensIn(context, url) {
    const page = await context.newPage();
    await page.goto(url);
    return new Chat(page, page);
  }

  /** A tab with a site, whose widget is opened by a click. */
  async opensWidget(url, options, title = 'Chat') {
    const page = await (await this.arrives(options)).newPage();
    await page.goto(url);
    await page.getByRole('button', { name: `Open ${title}` }).click();
    return new Chat(page, page.frameLocator(`iframe[title="${title}"]`));
  }

  async photograph(name) {
    mkdirSync(PICTURES, { recursive: true });
    const pages = this.#contexts.flatMap((context) => context.pages());
    for (const [n, page] of pages.entries()) {
      const path = join(PICTURES, `${name.replace(/[^a-z0-9]+/gi, '-')}-${n}.png`);
      // A page that is closing has no picture; the test's own error is what counts.
      await page.screenshot({ path, timeout: 5_000 }).then(() => console.error(`see ${path}`), () => {});
    }
  }

  async leave() {
    await Promise.all(this.#contexts.map((context) => context.close()));
  }
}

/** The chat in a tab: `root` is the page, or the frame that it is in. */
export class Chat {
  constructor(page, root) {
    this.page = page;
    this.root = root;
    this.input = root.getByRole('textbox', { name: 'Message' });
    this.typing = root.getByText('An answer is being written');
    this.latest = root.getByRole('button', { name: 'New messages' });
  }

  /** Writes as people do, and does not wait for anything. */
  async write(text) {
    await this.input.fill(text);
    await this.input.press('Enter');
  }

  /** A message of either side's that has this text. */
  message(text) {
    return this.root.locator('.msg').filter({ has: this.root.locator('.bubble', { hasText: text }) });
  }

  async shows(text) {
    await this.message(text).waitFor();
    return this.message(text);
  }

  async misses(text) {
    await this.message(text).waitFor({ state: 'detached' });
  }

  /** Waits until the gateway has the visitor's message. */
  async sent(text) {
    await this.message(text).locator('.meta', { hasText: 'Sent' }).waitFor();
  }

  /** Waits until the gateway has acknowledged a frame of the page's socket that `is` recognizes. */
  tellsOf(is) {
    const socket = sockets.get(this.page).at(-1);
    return new Promise((acknowledged) => {
      let clientId;
      socket.on('framesent', ({ payload }) => {
        const frame = JSON.parse(payload);
        if (is(frame)) clientId = frame.client_id;
      });
      socket.on('framereceived', ({ payload }) => {
        const frame = JSON.parse(payload);
        if (frame.type === 'ack' && frame.client_id === clientId) acknowledged();
      });
    });
  }

  /** What is in the bubbles, from above. */
  texts() {
    return this.root.locator('#log .bubble').allInnerTexts();
  }

  /** Writes, and waits for what the backend hears. */
  async tells(stage, channel, text) {
    await this.write(text);
    const heard = await stage.backend.hears(channel.user);
    assert.equal(heard.text, text);
    return { ...heard, recipient: heard.reply_to.recipient };
  }
}

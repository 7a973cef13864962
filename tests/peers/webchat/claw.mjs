// An `ii-claw up` with a database of its own, at one address for as long as the test runs: it can die and come back.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../../..');
const NOT_INHERITED = /^(AI_WEBHOOK_|AWS_|DATABASE_URL|II_CLAW_|NATS_URL)/;
const INHERITED = ['II_CLAW_NATS_BIN', 'II_CLAW_POSTGRES_BIN'];
const START_MS = 120_000;

/** The name by which browsers know the gateway; their resolver is told where it is. */
const HOST = 'chat.example';

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

export class Claw {
  #folder = mkdtempSync(join(tmpdir(), 'ii-claw-webchat-'));
  #key = randomBytes(16).toString('hex');
  #secret = randomBytes(16).toString('hex');
  #port = 0;
  #backend;
  #process = null;

  /** Its log, of all its starts. */
  get log() { return join(this.#folder, 'log'); }
  /** Where browsers reach it. */
  get origin() { return `http://${HOST}:${this.#port}`; }
  /** What it signs with. */
  get secret() { return this.#secret; }

  /** Starts it, or starts it again after it ended; `backend` is the address that it posts to. */
  async start(backend = this.#backend) {
    this.#backend = backend;
    this.#port ||= await freePort();
    const environment = Object.entries(process.env).filter(([name]) => !NOT_INHERITED.test(name) || INHERITED.includes(name));
    const env = {
      ...Object.fromEntries(environment),
      II_CLAW_DATA: join(this.#folder, 'data'),
      II_CLAW_LISTEN: `127.0.0.1:${this.#port}`,
      II_CLAW_PUBLIC_URL: `http://127.0.0.1:${this.#port}`,
      II_CLAW_API_KEY: this.#key,
      AI_WEBHOOK_URL: backend,
      AI_WEBHOOK_SECRET: this.#secret,
      II_CLAW_ALLOW_PRIVATE_URLS: 'true',
      II_CLAW_LOG: process.env.II_CLAW_LOG || 'info',
    };
    const binary = process.env.II_CLAW_BIN || join(ROOT, 'target/debug/ii-claw');
    this.#process = spawn(binary, ['up'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    await this.#isUp(this.#process);
  }

  #isUp(child) {
    return new Promise((up, fail) => {
      let said = '';
      const giveUp = (why) => fail(new Error(`ii-claw does not start: ${why}\n${said.slice(-4_000)}`));
      const timer = setTimeout(giveUp, START_MS, 'it takes too long');
      const hear = (chunk) => {
        appendFileSync(this.log, chunk);
        said = (said + chunk).slice(-20_000);
        if (!/the gateway listens on/.test(said) || !/is up/.test(said)) return;
        clearTimeout(timer);
        up();
      };
      child.stdout.on('data', hear);
      child.stderr.on('data', hear);
      child.once('error', giveUp);
      child.once('exit', (code) => {
        clearTimeout(timer);
        giveUp(`it ended with ${code}`);
      });
    });
  }

  /** Ends it: with SIGKILL as a machine that fails would. */
  async stop(signal = 'SIGTERM') {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    await once(child, 'exit');
  }

  async close() {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** The end of its log. */
  lastWords() {
    return readFileSync(this.log, 'utf8').slice(-6_000);
  }

  /** A call of the REST API. */
  async call(method, path, body) {
    const answer = await fetch(`http://127.0.0.1:${this.#port}/api/${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#key}`, 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    const read = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${read}`);
    return JSON.parse(read);
  }

  /** A web chat of a user of its own. */
  async channel(user, fields = {}, more = {}) {
    const made = await this.call('POST', `users/${user}/channels/webchat_1/configure`, { channel_type: 'webchat', fields, ...more });
    return new Channel(this, user, made.id);
  }
}

/** A web chat, and what the agent does in it. */
export class Channel {
  constructor(claw, user, id) {
    this.claw = claw;
    this.user = user;
    this.id = id;
    this.path = `users/${user}/channels/webchat_1`;
    this.page = `${claw.origin}/webchat/${id}`;
  }

  send(recipient, body) {
    return this.claw.call('POST', `${this.path}/send`, { recipient, ...(typeof body === 'string' ? { message: body } : body) });
  }

  /** What the gateway knows of a message. */
  message(id) {
    return this.claw.call('GET', `users/${this.user}/messages/${id}`);
  }

  edit(id, body) {
    return this.claw.call('PATCH', `${this.path}/messages/${id}`, body);
  }

  delete(id) {
    return this.claw.call('DELETE', `${this.path}/messages/${id}`);
  }

  react(id, emoji) {
    return this.claw.call('PUT', `${this.path}/messages/${id}/reaction`, { emoji });
  }

  typing(recipient) {
    return this.claw.call('POST', `${this.path}/typing`, { recipient });
  }
}

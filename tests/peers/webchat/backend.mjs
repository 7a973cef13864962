// The backend: takes what ii-claw posts, checks that it is genuine, and has the agent's pictures.
//
// Each user's messages have a lane of their own, so that no test hears what another one's visitor says.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

/** One dot. */
export const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);
const PATIENCE_MS = 90_000;

/** Both signatures of docs/webhook.md, over the bytes as they arrived. */
function isGenuine(headers, body, secret) {
  const mac = (text) => createHmac('sha256', secret).update(text);
  const plain = `sha256=${mac(body).digest('hex')}`;
  const signed = Buffer.concat([Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.`), body]);
  const standard = `v1,${mac(signed).digest('base64')}`;
  const same = (given = '', wanted) => given.length === wanted.length && timingSafeEqual(Buffer.from(given), Buffer.from(wanted));
  return same(headers['x-webhook-signature'], plain) && same(headers['webhook-signature'], standard);
}

export class Backend {
  #server = createServer((request, response) => this.#serve(request, response));
  #lanes = new Map();
  #secret;
  /** How many posts were not ii-claw's. */
  forged = 0;

  async start(secret) {
    this.#secret = secret;
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.origin = `http://127.0.0.1:${this.#server.address().port}`;
    this.picture = `${this.origin}/picture.png`;
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** The next message of this user's that was not heard yet, with its id in the gateway. */
  async hears(user, patience = PATIENCE_MS) {
    const lane = this.#lane(user);
    if (lane.waiting.length) return lane.waiting.shift();
    return new Promise((hear, fail) => {
      const timer = setTimeout(() => fail(new Error(`the backend is told nothing by ${user}`)), patience);
      lane.listener = (message) => {
        clearTimeout(timer);
        lane.listener = null;
        hear(message);
      };
    });
  }

  /** All that this user wrote, each message once, in the order in which it came. */
  told(user) {
    return [...this.#lane(user).all.values()];
  }

  /** The next message of this user's is answered by a stream: resolves to its response once it has come. */
  streams(user) {
    return new Promise((begin) => {
      this.#lane(user).respond = (response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        begin({
          shows: (text) => response.write(`data: ${JSON.stringify({ immediate_reply: text })}\n\n`),
          say: (delta) => response.write(`event: delta\ndata: ${JSON.stringify({ delta })}\n\n`),
          end: () => response.end('event: done\ndata: {}\n\n'),
        });
      };
    });
  }

  /** The next message of this user's is answered with this JSON. */
  answers(user, body) {
    this.#lane(user).respond = (response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
  }

  #lane(user) {
    if (!this.#lanes.has(user)) this.#lanes.set(user, { all: new Map(), waiting: [], listener: null, respond: null });
    return this.#lanes.get(user);
  }

  async #serve(request, response) {
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-type': 'image/png' }).end(PICTURE);
      return;
    }
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const bytes = Buffer.concat(chunks);
    if (!isGenuine(request.headers, bytes, this.#secret)) {
      this.forged += 1;
      response.writeHead(401).end();
      return;
    }
    const message = { ...JSON.parse(bytes), id: request.headers['webhook-id'] };
    const lane = this.#lane(message.user_id);
    const { respond } = lane;
    lane.respond = null;
    if (respond) respond(response);
    else response.writeHead(200, { 'content-type': 'application/json' }).end('{"async_processing": true}');
    if (lane.all.has(message.id)) return; // tried again
    lane.all.set(message.id, message);
    if (lane.listener) lane.listener(message);
    else lane.waiting.push(message);
  }
}

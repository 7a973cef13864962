// What the shim knows of each bot.
import { ApiError } from './http.mjs';
import { Faults } from './faults.mjs';
import { FileStore } from './files.mjs';
import { UpdateQueue } from './queue.mjs';

const TOKEN_FORM = /^[1-9][0-9]*:[A-Za-z0-9_-]+$/;

// One thing at a time per bot: numbers are given by the emulator, and what is recorded must be in their order.
function makeLane() {
  let tail = Promise.resolve();
  return (job) => {
    const run = tail.then(job);
    tail = run.catch(() => {});
    return run;
  };
}

class Bot {
  constructor(token) {
    const id = Number(token.split(':')[0]);
    this.token = token;
    this.revoked = false;
    // The emulator gives every bot the same id and name; several bots in one test must differ.
    this.user = { id, is_bot: true, first_name: `Test ${id}`, username: `test_${id}_bot` };
    this.queue = new UpdateQueue();
    this.files = new FileStore();
    this.faults = new Faults();
    this.inOrder = makeLane();
    this.chats = new Map();
    this.messages = new Map();
    this.sent = [];
    this.calls = [];
    this.violations = [];
    this.notEmulated = new Set();
  }

  revoke(revoked) {
    this.revoked = revoked;
    if (revoked) this.queue.interrupt(new ApiError(401, 'Unauthorized'));
  }
}

export class Bots {
  constructor() {
    this.byToken = new Map();
  }

  /** Any well-formed token is a bot: tests make them up. */
  get(token) {
    if (typeof token !== 'string' || !TOKEN_FORM.test(token)) return null;
    if (!this.byToken.has(token)) this.byToken.set(token, new Bot(token));
    return this.byToken.get(token);
  }

  authorized(token) {
    const bot = this.get(token);
    if (!bot || bot.revoked) throw new ApiError(401, 'Unauthorized');
    return bot;
  }
}

// The update queue of one bot. The emulator hands every update out once and forgets it, whatever the offset; the real
// API keeps an update until it is confirmed, and holds a request while there is none. So the queue lives here.
import { ApiError } from './http.mjs';

const CONFLICT = 'Conflict: terminated by other getUpdates request; '
  + 'make sure that only one bot instance is running';
// The bounds the real API clamps to.
const MAX_LIMIT = 100;
const MAX_TIMEOUT_SECONDS = 50;

function bounded(value, fallback, low, high) {
  const number = Number.parseInt(value ?? fallback, 10);
  return Number.isNaN(number) ? fallback : Math.min(Math.max(number, low), high);
}

export class UpdateQueue {
  constructor() {
    this.updates = [];
    this.held = null;
    this.allowed = null;
    this.lastId = 0;
    this.stats = { total: 0, conflicts: 0, confirmedOffset: 0 };
  }

  push(update) {
    this.lastId = update.update_id;
    if (this.allowed && !this.allowed.some((kind) => kind in update)) return;
    this.updates.push(update);
    this.held?.wake();
  }

  clear() {
    this.updates = [];
  }

  /** Remembered until told otherwise, and only for updates yet to come, as in the real API; [] is "the usual ones". */
  allow(kinds) {
    if (Array.isArray(kinds)) this.allowed = kinds.length > 0 ? kinds : null;
  }

  /** One getUpdates call. `gone` is an AbortSignal that fires when the caller hangs up. */
  poll(params, gone) {
    this.stats.total += 1;
    this.displace();
    this.confirm(bounded(params.offset, 0, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER));
    const limit = bounded(params.limit, MAX_LIMIT, 1, MAX_LIMIT);
    const timeout = bounded(params.timeout, 0, 0, MAX_TIMEOUT_SECONDS);
    if (this.updates.length > 0 || timeout === 0) return Promise.resolve(this.updates.slice(0, limit));
    return this.hold(limit, timeout, gone);
  }

  // A newer call ends the older one, never the other way round.
  displace() {
    if (!this.held) return;
    this.stats.conflicts += 1;
    this.held.fail(new ApiError(409, CONFLICT));
  }

  /** Ends a held call with an error, for a revoked token. */
  interrupt(error) {
    this.held?.fail(error);
  }

  // A positive offset confirms everything before it. A negative one keeps that many from the end, forgetting the rest.
  confirm(offset) {
    if (offset < 0) {
      this.updates = this.updates.slice(offset);
      return;
    }
    if (offset === 0) return;
    this.updates = this.updates.filter((update) => update.update_id >= offset);
    this.stats.confirmedOffset = Math.max(this.stats.confirmedOffset, offset);
  }

  hold(limit, timeout, gone) {
    return new Promise((resolve, reject) => {
      const release = (finish) => {
        clearTimeout(timer);
        gone.removeEventListener('abort', leave);
        this.held = null;
        finish();
      };
      // Updates are left in the queue: only the next call's offset confirms them.
      const wake = () => release(() => resolve(this.updates.slice(0, limit)));
      const fail = (error) => release(() => reject(error));
      const leave = () => fail(new ApiError(400, 'Bad Request: the caller hung up'));
      const timer = setTimeout(wake, timeout * 1000);
      this.held = { wake, fail };
      gone.addEventListener('abort', leave);
      if (gone.aborted) leave();
    });
  }
}

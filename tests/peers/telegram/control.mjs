// The tests' own side: people writing to the bot, what the bot sent, and faults to come.
import { ApiError, parseJson, readBody, sendJson } from './http.mjs';
import { pressButton, sendPhoto, sendVoice, writeText } from './person.mjs';
import { view } from './sending.mjs';

function botOf(context, token) {
  const bot = context.bots.get(token);
  if (!bot) throw new ApiError(400, 'token: not of the form <digits>:<letters, digits, - and _>');
  return bot;
}

function need(order, ...names) {
  for (const name of names) {
    if (order[name] === undefined) throw new ApiError(400, `${name}: missing`);
  }
}

function needChat(order) {
  const id = Number(order.chat_id);
  if (!Number.isSafeInteger(id) || id === 0) throw new ApiError(400, 'chat_id: not a whole number other than 0');
}

function bytesOf(order) {
  need(order, 'content_base64');
  return Buffer.from(order.content_base64, 'base64');
}

function ordered(order) {
  need(order, 'method');
  const times = order.times ?? 1;
  if (!Number.isInteger(times) || times < 1) throw new ApiError(400, 'times: not a whole number from 1');
  return { ...order, times };
}

const POST = {
  message(context, bot, order) {
    needChat(order);
    need(order, 'text');
    return writeText(context.emulator, bot, order);
  },
  photo(context, bot, order) {
    needChat(order);
    return sendPhoto(context.emulator, bot, order, bytesOf(order));
  },
  voice(context, bot, order) {
    needChat(order);
    return sendVoice(context.emulator, bot, order, bytesOf(order));
  },
  press(context, bot, order) {
    needChat(order);
    need(order, 'message_id', 'data');
    return pressButton(context.emulator, bot, order);
  },
  fail(context, bot, order) {
    need(order, 'status', 'body');
    bot.faults.fail(ordered(order));
    return {};
  },
  drop(context, bot, order) {
    bot.faults.drop(ordered(order));
    return {};
  },
  revoke(context, bot, order) {
    bot.revoke(order.revoked ?? true);
    return {};
  },
};

function sent(bot, query) {
  const chatId = query.get('chat_id');
  const records = bot.sent.filter(({ message }) => chatId === null || message.chat.id === Number(chatId));
  return { messages: records.map(view) };
}

function calls(bot, query) {
  const method = query.get('method')?.toLowerCase();
  return { calls: bot.calls.filter((call) => !method || call.method.toLowerCase() === method) };
}

function stats(bot) {
  const { queue } = bot;
  return {
    get_updates_in_flight: queue.held ? 1 : 0,
    get_updates_total: queue.stats.total,
    conflicts: queue.stats.conflicts,
    confirmed_offset: queue.stats.confirmedOffset,
    pending_updates: queue.updates.length,
    last_update_id: queue.lastId,
    violations: bot.violations,
    not_emulated: [...bot.notEmulated],
  };
}

const GET = { sent, calls, stats };

async function handle(context, req, url, name) {
  if (req.method === 'POST' && Object.hasOwn(POST, name)) {
    const order = parseJson(await readBody(req));
    return POST[name](context, botOf(context, order.token), order);
  }
  if (req.method === 'GET' && Object.hasOwn(GET, name)) {
    return GET[name](botOf(context, url.searchParams.get('token')), url.searchParams);
  }
  throw new ApiError(404, `no such control: ${req.method} ${name}`);
}

export async function serveControl(context, req, res, url) {
  const name = /^\/control\/([a-z]+)$/.exec(url.pathname)?.[1];
  if (!name) return false;
  sendJson(res, 200, await handle(context, req, url, name));
  return true;
}

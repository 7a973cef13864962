// Messages the bot sends: numbered and stored by the emulator, brought to the real API's form, and recorded.
import { chatFor, quoted, seconds } from './chats.mjs';
import { ApiError, isTrue, structured } from './http.mjs';

export const TEXT_LIMIT = 4096;
export const CAPTION_LIMIT = 1024;

// The limit counts what is left after formatting is taken out. Without reading the formatting properly, this drops
// everything that could belong to it: a text may be taken for a bit shorter than it is, never for longer.
function visible(text, parseMode) {
  if (!parseMode) return text;
  if (/^html$/i.test(parseMode)) return text.replace(/<[^>]*>/g, '').replace(/&#?\w+;/g, '&');
  return text.replace(/\]\([^)]*\)/g, '').replace(/\\(.)|[*_~|`[\]]/g, '$1');
}

export function checkLength(text, parseMode, limit, what) {
  // By characters, not by UTF-16 units.
  if ([...visible(String(text ?? ''), parseMode)].length > limit) {
    throw new ApiError(400, `Bad Request: ${what} is too long`);
  }
}

function replyTarget(bot, params, chat) {
  const reply = structured(params.reply_parameters);
  const id = Number(reply?.message_id ?? params.reply_to_message_id);
  if (!id) return null;
  const target = bot.messages.get(id);
  if (target?.chat.id === chat.id) return target;
  if (isTrue(reply?.allow_sending_without_reply ?? params.allow_sending_without_reply)) return null;
  throw new ApiError(400, 'Bad Request: message to be replied not found');
}

function threadOf(params, chat) {
  const thread = Number(params.message_thread_id);
  if (!thread) return {};
  return { message_thread_id: thread, ...(chat.type !== 'private' && { is_topic_message: true }) };
}

// Only buttons under a message come back in it; keyboards and force_reply do not.
function buttons(markup) {
  return markup?.inline_keyboard ? { reply_markup: { inline_keyboard: markup.inline_keyboard } } : {};
}

// The emulator has sendMessage alone, so every kind of message goes through it to get its number and date.
async function number(emulator, bot, params) {
  const { ok, result, message } = await emulator.call(bot.token, 'sendMessage', params);
  // It answers an error of its own form, without ok, when it cannot read something, such as broken reply_markup.
  if (!ok) throw new ApiError(400, `Bad Request: ${message}`);
  return result;
}

/** One message: `content` goes into the answer, `notes` only into the record the tests read. */
export function send(emulator, bot, { method, params, content, notes }) {
  const chat = chatFor(bot, params.chat_id);
  const reply = replyTarget(bot, params, chat);
  return bot.inOrder(async () => {
    const stored = await number(emulator, bot, { ...params, text: content.text ?? content.caption ?? '' });
    const message = {
      message_id: Number(stored.message_id),
      ...threadOf(params, chat),
      from: bot.user,
      chat,
      date: seconds(stored.date),
      ...(reply && { reply_to_message: quoted(reply) }),
      ...content,
      ...buttons(stored.reply_markup),
    };
    bot.messages.set(message.message_id, message);
    bot.sent.push({ method, message, parseMode: params.parse_mode, at: Date.now(), earlier: [], ...notes });
    return message;
  });
}

/** A sent message for an edit, or the real API's complaint. */
export function findSent(bot, params, todo) {
  const chat = chatFor(bot, params.chat_id);
  const record = bot.sent.find(({ message, deleted }) => !deleted
    && message.chat.id === chat.id && message.message_id === Number(params.message_id));
  if (!record) throw new ApiError(400, `Bad Request: message to ${todo} not found`);
  return record;
}

/** Changes `key` (text, caption, or null for buttons alone) of a sent message, keeping the earlier wording. */
export function edit(record, params, key) {
  const { message } = record;
  const fields = key ? { [key]: params[key] } : {};
  const { reply_markup: old, ...rest } = message;
  const changed = { ...rest, ...fields, ...buttons(structured(params.reply_markup)) };
  const unchanged = JSON.stringify([message[key], old, record.parseMode])
    === JSON.stringify([changed[key], changed.reply_markup, key ? params.parse_mode : record.parseMode]);
  if (unchanged) {
    throw new ApiError(400, 'Bad Request: message is not modified: specified new message content and reply markup '
      + 'are exactly the same as a current content and reply markup of the message');
  }
  if (key) {
    record.earlier.push(message[key]);
    record.parseMode = params.parse_mode;
  }
  record.message = { ...changed, edit_date: Math.floor(Date.now() / 1000) };
  return record.message;
}

const present = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));

/** A record as the tests see it. */
export function view({ method, message, parseMode, at, earlier, media, fileName, deleted }) {
  return present({
    message_id: message.message_id,
    chat_id: message.chat.id,
    method,
    text: message.text,
    caption: message.caption,
    media,
    file_name: fileName,
    parse_mode: parseMode,
    message_thread_id: message.message_thread_id,
    reply_to_message_id: message.reply_to_message?.message_id,
    reply_markup: message.reply_markup,
    earlier: earlier.length > 0 ? earlier : undefined,
    deleted,
    at,
  });
}

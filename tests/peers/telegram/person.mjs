// What a person does: writes, sends a photo or a voice note, presses a button. Goes in by the emulator's own client, comes out of the
// emulator's getUpdates, is brought to the real API's form, and waits in the queue.
import { meta } from './files.mjs';
import { ApiError } from './http.mjs';
import { quoted, seconds, tidyChat, typeOf } from './chats.mjs';

// Real photos come in several sizes with different bytes. This 1x1 PNG stands for the small one, so that a bot that
// takes the wrong size is noticed.
const THUMBNAIL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

function clientOf(emulator, bot, order) {
  const chatId = Number(order.chat_id);
  const type = order.chat_type ?? typeOf(chatId);
  return emulator.client(bot.token, {
    chatId,
    type,
    userId: order.user_id ?? (type === 'private' ? chatId : undefined),
    userName: order.username,
    firstName: order.first_name,
    chatTitle: order.chat_title,
  });
}

// The emulator marks only commands, and measures them wrongly when a line break follows. The real API marks mentions
// too, which is how a bot in a group sees that it is meant.
function entitiesIn(text) {
  const entities = [];
  for (const found of text.matchAll(/(?<![\w/@])(?:\/[A-Za-z0-9_]{1,32}(?:@\w+)?|@[A-Za-z]\w{3,31})(?!\w)/g)) {
    const type = found[0].startsWith('/') ? 'bot_command' : 'mention';
    entities.push({ type, offset: found.index, length: found[0].length });
  }
  return entities;
}

function marked(key, text) {
  if (text === undefined) return {};
  const entities = entitiesIn(text);
  return { [key]: text, ...(entities.length > 0 && { [key === 'text' ? 'entities' : 'caption_entities']: entities }) };
}

function context(bot, order) {
  const replied = bot.messages.get(order.reply_to_message_id);
  return {
    ...(order.message_thread_id !== undefined && { message_thread_id: order.message_thread_id }),
    ...(order.is_topic_message && { is_topic_message: true }),
    ...(replied && { reply_to_message: quoted(replied) }),
  };
}

// The emulator's updates carry the token of the bot, and chats with the fields of every type at once.
function tidyUpdate(bot, { update_id: updateId, message }) {
  const { botToken: _, ...rest } = message;
  // Once a forum, always a forum, also for messages outside its topics.
  const isForum = rest.is_topic_message || bot.chats.get(Number(rest.chat.id))?.is_forum;
  const chat = tidyChat(rest.chat, rest.from, isForum);
  return {
    update_id: Number(updateId),
    message: { ...rest, message_id: Number(rest.message_id), date: seconds(rest.date), chat },
  };
}

async function drain(emulator, bot) {
  const { result } = await emulator.call(bot.token, 'getUpdates');
  const updates = result.map((update) => tidyUpdate(bot, update));
  for (const update of updates) {
    bot.chats.set(update.message.chat.id, update.message.chat);
    bot.messages.set(update.message.message_id, update.message);
    bot.queue.push(update);
  }
  return updates.at(-1);
}

async function deliver(emulator, bot, order, content) {
  const client = clientOf(emulator, bot, order);
  const { text, ...rest } = content;
  const message = client.makeMessage(text, { ...rest, ...context(bot, order) });
  // The emulator puts a name where none is given; null asks for a person without one.
  if (order.username === null) delete message.from.username;
  await client.sendMessage(message);
  return drain(emulator, bot);
}

function say(emulator, bot, order, content) {
  return bot.inOrder(async () => {
    const { update_id: updateId, message } = await deliver(emulator, bot, order, content);
    return { message_id: message.message_id, update_id: updateId };
  });
}

export function writeText(emulator, bot, order) {
  return say(emulator, bot, order, marked('text', order.text));
}

export async function sendPhoto(emulator, bot, order, bytes) {
  const small = bot.files.add({ folder: 'photos', ext: 'jpg', bytes: THUMBNAIL });
  const large = bot.files.add({ folder: 'photos', ext: 'jpg', bytes });
  // Small one first, as the real API orders them. The sides are made up: nothing here reads pictures.
  const photo = [
    { ...meta(small), width: 90, height: 68 },
    { ...meta(large), width: 800, height: 600 },
  ];
  const answer = await say(emulator, bot, order, { photo, ...marked('caption', order.caption) });
  return { ...answer, file_id: large.id };
}

export async function sendVoice(emulator, bot, order, bytes) {
  const type = order.mime_type ?? 'audio/ogg';
  const file = bot.files.add({ folder: 'voice', ext: 'oga', bytes, type });
  const voice = { duration: order.duration ?? 1, mime_type: type, ...meta(file) };
  const answer = await say(emulator, bot, order, { voice, ...marked('caption', order.caption) });
  return { ...answer, file_id: file.id };
}

// The emulator's update has a message with a chat and a sender alone; the real API has the whole one, with its buttons.
export function pressButton(emulator, bot, order) {
  const message = bot.messages.get(Number(order.message_id));
  const buttons = message?.reply_markup?.inline_keyboard?.flat() ?? [];
  if (message?.chat.id !== Number(order.chat_id) || !buttons.some((button) => button.callback_data === order.data)) {
    throw new ApiError(400, 'data: that message has no such button');
  }
  return bot.inOrder(async () => {
    const client = clientOf(emulator, bot, order);
    await client.sendCallback(client.makeCallbackQuery(order.data));
    const { result } = await emulator.call(bot.token, 'getUpdates');
    const { update_id: updateId, callback_query: { from, id, data } } = result.at(-1);
    const press = { id, from, message, chat_instance: String(message.chat.id), data };
    bot.queue.push({ update_id: Number(updateId), callback_query: press });
    return { callback_query_id: id, update_id: Number(updateId) };
  });
}

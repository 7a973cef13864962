// Chats and the shape of messages.
import { ApiError } from './http.mjs';

/** The emulator dates a bot's messages in milliseconds, the real API in seconds. */
export function seconds(date) {
  return Math.floor(date > 1e11 ? date / 1000 : date);
}

export function typeOf(chatId) {
  if (chatId > 0) return 'private';
  // The real API's numbering: supergroups and channels begin with -100.
  return chatId <= -1e12 ? 'supergroup' : 'group';
}

/** Only the fields the real API gives for that type of chat; the emulator gives all of them always. */
export function tidyChat(chat, from, isForum) {
  const tidy = { id: Number(chat.id), type: chat.type };
  if (chat.type === 'private') {
    return { ...tidy, first_name: from.first_name, ...(from.username && { username: from.username }) };
  }
  return { ...tidy, title: chat.title, ...(isForum && chat.type === 'supergroup' && { is_forum: true }) };
}

/** The chat a bot writes to: the one people wrote from, or one made up by its number. */
export function chatFor(bot, chatId) {
  if (chatId === undefined || chatId === '') throw new ApiError(400, 'Bad Request: chat_id is empty');
  const id = Number(chatId);
  if (!Number.isSafeInteger(id) || id === 0) throw new ApiError(400, 'Bad Request: chat not found');
  const known = bot.chats.get(id);
  if (known) return known;
  const type = typeOf(id);
  return type === 'private' ? { id, type, first_name: 'TestName' } : { id, type, title: 'Test Name' };
}

/** Messages quote each other one level deep. */
export function quoted(message) {
  const { reply_to_message: _, ...rest } = message;
  return rest;
}

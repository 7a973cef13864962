// The Bot API's methods. Each takes {emulator, bot, params, files, gone} and answers the `result`.
import { randomInt } from 'node:crypto';
import { ApiError, isTrue, structured } from './http.mjs';
import { MEDIA, groupItems, locate } from './media.mjs';
import { CAPTION_LIMIT, TEXT_LIMIT, checkLength, edit, findSent, send } from './sending.mjs';

// The emulator answers a name and a fixed id; clients refuse an answer without these.
const ABILITIES = {
  can_join_groups: true,
  can_read_all_group_messages: false,
  supports_guest_queries: false,
  supports_inline_queries: false,
  can_connect_to_business: false,
  has_main_web_app: false,
  has_topics_enabled: false,
  allows_users_to_create_topics: false,
  can_manage_bots: false,
  supports_join_request_queries: false,
};

async function getMe({ emulator, bot }) {
  const { result } = await emulator.call(bot.token, 'getMe');
  return { ...result, ...bot.user, ...ABILITIES };
}

function getUpdates({ bot, params, gone }) {
  bot.queue.allow(structured(params.allowed_updates));
  return bot.queue.poll(params, gone);
}

// Formatting given as entities comes back as it was given. Formatting by parse_mode is not read: the text stays raw.
function entities(key, params) {
  const given = structured(params[key]);
  return given ? { [key]: given } : {};
}

function sendMessage({ emulator, bot, params }) {
  const text = String(params.text ?? '');
  // The emulator takes any text; the real API has both of these.
  if (text.trim() === '') throw new ApiError(400, 'Bad Request: message text is empty');
  checkLength(text, params.parse_mode, TEXT_LIMIT, 'message');
  const content = { text, ...entities('entities', params) };
  return send(emulator, bot, { method: 'sendMessage', params: { ...params, text }, content });
}

function captioned(params) {
  checkLength(params.caption, params.parse_mode, CAPTION_LIMIT, 'message caption');
  return params.caption ? { caption: params.caption, ...entities('caption_entities', params) } : {};
}

function sender(method) {
  const kind = MEDIA[method];
  return ({ emulator, bot, params, files }) => {
    const caption = captioned(params);
    const { file, shown } = locate(bot, kind, params[kind.field], files);
    const content = { [kind.field]: kind.show(file, params), ...caption };
    const notes = { media: shown, fileName: file.name ?? undefined };
    return send(emulator, bot, { method, params, content, notes });
  };
}

async function sendMediaGroup({ emulator, bot, params, files }) {
  const groupId = String(randomInt(2 ** 40));
  const { media: _, ...common } = params;
  const planned = groupItems(bot, params, files).map(({ kind, item, file, shown }) => ({
    method: 'sendMediaGroup',
    params: { ...common, parse_mode: item.parse_mode },
    content: { media_group_id: groupId, [kind.field]: kind.show(file, item), ...captioned(item) },
    notes: { media: shown, fileName: file.name ?? undefined },
  }));
  // Asked for in one go, so that nothing gets in between.
  return Promise.all(planned.map((one) => send(emulator, bot, one)));
}

// The emulator keeps the new text but answers null, and does so for messages that do not exist, too.
function editor(method, key) {
  return ({ emulator, bot, params }) => bot.inOrder(async () => {
    const record = findSent(bot, params, 'edit');
    if (key === 'text') checkLength(params.text, params.parse_mode, TEXT_LIMIT, 'message');
    if (key === 'caption') captioned(params);
    const message = edit(record, params, key);
    bot.messages.set(message.message_id, message);
    if (method !== 'editMessageCaption') await emulator.call(bot.token, method, params);
    return message;
  });
}

// The emulator answers an error with status 200, and null where the real API answers true.
function deleteMessage({ emulator, bot, params }) {
  return bot.inOrder(async () => {
    const { ok } = await emulator.call(bot.token, 'deleteMessage', params);
    const id = Number(params.message_id);
    const record = bot.sent.find(({ message }) => message.message_id === id);
    if (!ok) throw new ApiError(400, 'Bad Request: message to delete not found');
    if (record) record.deleted = true;
    bot.messages.delete(id);
    return true;
  });
}

async function answerCallbackQuery({ emulator, bot, params }) {
  await emulator.call(bot.token, 'answerCallbackQuery', params);
  return true;
}

function getFile({ bot, params }) {
  return bot.files.describe(params.file_id);
}

// The emulator's webhooks carry its own update form and no secret token, so they are not offered at all.
function setWebhook(call) {
  if (!call.params.url) return deleteWebhook(call);
  throw new ApiError(400, 'Bad Request: webhooks are not emulated, use getUpdates');
}

function deleteWebhook({ bot, params }) {
  if (isTrue(params.drop_pending_updates)) bot.queue.clear();
  return true;
}

function getWebhookInfo({ bot }) {
  return { url: '', has_custom_certificate: false, pending_update_count: bot.queue.updates.length };
}

// Taken and answered with true: they change nothing that another answer would show. GET /control/calls shows them.
const ACKNOWLEDGED = [
  'sendChatAction', 'sendMessageDraft', 'setMessageReaction', 'setMyCommands', 'deleteMyCommands', 'setMyName',
  'setMyDescription', 'setMyShortDescription', 'setChatMenuButton', 'pinChatMessage', 'unpinChatMessage', 'leaveChat',
  'logOut', 'close',
];

const METHODS = {
  getMe,
  getUpdates,
  getFile,
  sendMessage,
  sendMediaGroup,
  deleteMessage,
  answerCallbackQuery,
  setWebhook,
  deleteWebhook,
  getWebhookInfo,
  editMessageText: editor('editMessageText', 'text'),
  editMessageCaption: editor('editMessageCaption', 'caption'),
  editMessageReplyMarkup: editor('editMessageReplyMarkup', null),
  ...Object.fromEntries(Object.keys(MEDIA).map((method) => [method, sender(method)])),
  ...Object.fromEntries(ACKNOWLEDGED.map((method) => [method, () => true])),
};

const BY_LOWER_NAME = new Map(Object.keys(METHODS).map((name) => [name.toLowerCase(), name]));

/** Method names are case-insensitive in the real API, and some clients use that (GetMe, SendMessage). */
export function findMethod(name) {
  const canonical = BY_LOWER_NAME.get(name.toLowerCase());
  return canonical ? { name: canonical, run: METHODS[canonical] } : null;
}

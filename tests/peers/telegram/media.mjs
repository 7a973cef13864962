// The sendPhoto family, which the emulator lacks: a file by URL, by file id, or uploaded.
import { meta } from './files.mjs';
import { ApiError, structured } from './http.mjs';

const whole = (value, fallback) => Number.parseInt(value ?? fallback, 10);
const optional = (fields) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value));

const named = (file) => optional({ file_name: file.name });
const typed = (file, fallback) => ({ mime_type: file.type ?? fallback });
const moving = (file, params) => ({
  ...meta(file),
  width: whole(params.width, 640),
  height: whole(params.height, 480),
  duration: whole(params.duration, 1),
  ...named(file),
  ...typed(file, 'video/mp4'),
});

/** By method: the argument with the file, where the file would lie, and what the message shows of it. */
export const MEDIA = {
  sendPhoto: {
    field: 'photo', folder: 'photos', ext: 'jpg',
    show: (file) => [{ ...meta(file), width: 800, height: 600 }],
  },
  sendVoice: {
    field: 'voice', folder: 'voice', ext: 'oga',
    show: (file, params) => ({ ...meta(file), duration: whole(params.duration, 1), ...typed(file, 'audio/ogg') }),
  },
  sendAudio: {
    field: 'audio', folder: 'music', ext: 'mp3',
    show: (file, params) => ({
      ...meta(file), duration: whole(params.duration, 1), ...named(file), ...typed(file, 'audio/mpeg'),
      ...optional({ performer: params.performer, title: params.title }),
    }),
  },
  sendDocument: {
    field: 'document', folder: 'documents', ext: 'bin',
    show: (file) => ({ ...meta(file), ...named(file), ...typed(file, 'application/octet-stream') }),
  },
  sendVideo: { field: 'video', folder: 'videos', ext: 'mp4', show: moving },
  sendAnimation: { field: 'animation', folder: 'animations', ext: 'mp4', show: moving },
  sendVideoNote: {
    field: 'video_note', folder: 'video_notes', ext: 'mp4',
    show: (file, params) => ({ ...meta(file), length: whole(params.length, 240), duration: whole(params.duration, 1) }),
  },
  sendSticker: {
    field: 'sticker', folder: 'stickers', ext: 'webp',
    show: (file) => ({
      ...meta(file), type: 'regular', width: 512, height: 512, is_animated: false, is_video: false,
    }),
  },
};

const METHOD_OF_TYPE = {
  photo: 'sendPhoto', video: 'sendVideo', audio: 'sendAudio', document: 'sendDocument', animation: 'sendAnimation',
};

function extension(name, fallback) {
  return /\.([A-Za-z0-9]{1,8})$/.exec(name ?? '')?.[1] ?? fallback;
}

function keepUpload(bot, kind, upload) {
  if (upload.bytes.length === 0) throw new ApiError(400, 'Bad Request: file must be non-empty');
  const ext = extension(upload.filename, kind.ext);
  return bot.files.add({ ...kind, ext, bytes: upload.bytes, name: upload.filename, type: upload.type });
}

/** Finds or keeps the file a call speaks of. `shown` is what the tests see: the URL or id as the bot gave it. */
export function locate(bot, kind, given, uploads, part = kind.field) {
  const attached = /^attach:\/\/(.+)$/.exec(given ?? '')?.[1];
  const upload = uploads.get(attached ?? part);
  if (upload) {
    const file = keepUpload(bot, kind, upload);
    return { file, shown: file.id };
  }
  if (attached || !given) throw new ApiError(400, `Bad Request: there is no ${kind.field} in the request`);
  if (/^https?:\/\//i.test(given)) return { file: bot.files.addRemote(given), shown: given };
  const known = bot.files.byId.get(given);
  if (!known) throw new ApiError(400, 'Bad Request: wrong remote file identifier specified: Wrong string length');
  return { file: known, shown: given };
}

/** The items of sendMediaGroup as one call each of the method they stand for. */
export function groupItems(bot, params, uploads) {
  const items = structured(params.media);
  if (!Array.isArray(items) || items.length < 2 || items.length > 10) {
    throw new ApiError(400, 'Bad Request: expected 2-10 media in the request');
  }
  return items.map((item) => {
    const kind = MEDIA[METHOD_OF_TYPE[item.type]];
    if (!kind) throw new ApiError(400, "Bad Request: can't parse InputMedia: wrong type");
    // No part name here: every upload of a group is named by attach://.
    return { kind, item, ...locate(bot, kind, item.media, uploads, null) };
  });
}

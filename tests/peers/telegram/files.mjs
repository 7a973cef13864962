// Files: the emulator has neither getFile nor downloads nor uploads.
import { randomBytes } from 'node:crypto';
import { ApiError } from './http.mjs';

// The real API's limit for what a bot can download.
const DOWNLOAD_LIMIT = 20 * 1024 * 1024;

// As long as real ones, so that a field too short for them shows.
const randomId = (bytes) => randomBytes(bytes).toString('base64url');

export class FileStore {
  constructor() {
    this.byId = new Map();
    this.byPath = new Map();
  }

  add({ folder, ext, bytes, name, type }) {
    const path = `${folder}/file_${this.byId.size}.${ext}`;
    const file = { id: randomId(54), uniqueId: randomId(12), path, bytes, name, type, url: null };
    this.byId.set(file.id, file);
    this.byPath.set(path, file);
    return file;
  }

  /** A file the bot named by URL. The real API fetches it; here only the URL is remembered, so there are no bytes. */
  addRemote(url) {
    const file = { id: randomId(54), uniqueId: randomId(12), path: null, bytes: null, name: null, type: null, url };
    this.byId.set(file.id, file);
    return file;
  }

  /** What getFile answers. */
  describe(fileId) {
    const file = this.byId.get(fileId);
    if (!file) throw new ApiError(400, 'Bad Request: invalid file_id');
    if (!file.bytes) throw new ApiError(400, 'Bad Request: wrong file_id or the file is temporarily unavailable');
    if (file.bytes.length > DOWNLOAD_LIMIT) throw new ApiError(400, 'Bad Request: file is too big');
    return { ...meta(file), file_path: file.path };
  }
}

/** The fields every file object of the API begins with. */
export function meta(file) {
  const fields = { file_id: file.id, file_unique_id: file.uniqueId };
  return file.bytes ? { ...fields, file_size: file.bytes.length } : fields;
}

// Reading requests and writing answers.
import { parseMultipart } from './multipart.mjs';

const BODY_LIMIT = 64 * 1024 * 1024;

/** An answer of the Bot API's error form: {ok:false, error_code, description}. */
export class ApiError extends Error {
  constructor(code, description) {
    super(description);
    this.code = code;
  }

  get body() {
    return { ok: false, error_code: this.code, description: this.message };
  }
}

export async function readBody(req) {
  const chunks = [];
  let size = 0;
  for await (const chunk of req) {
    size += chunk.length;
    if (size > BODY_LIMIT) throw new ApiError(413, 'Request Entity Too Large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

export function parseJson(body) {
  if (body.length === 0) return {};
  let value;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    throw new ApiError(400, "Bad Request: can't parse JSON object");
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new ApiError(400, "Bad Request: can't parse JSON object");
  }
  return value;
}

function parseByType(body, contentType) {
  if (/^application\/json/i.test(contentType)) return { params: parseJson(body), files: new Map() };
  if (/^multipart\/form-data/i.test(contentType)) return parseMultipart(body, contentType);
  return { params: Object.fromEntries(new URLSearchParams(body.toString('utf8'))), files: new Map() };
}

/** The arguments of a call, wherever they are: the query string and a body of any of the three kinds. */
export async function readArguments(req, url) {
  const body = await readBody(req);
  let parsed;
  try {
    parsed = parseByType(body, req.headers['content-type'] ?? '');
  } catch (error) {
    throw error instanceof ApiError ? error : new ApiError(400, `Bad Request: ${error.message}`);
  }
  const params = { ...Object.fromEntries(url.searchParams), ...parsed.params };
  // null means "not given", as it does for the real API.
  for (const key of Object.keys(params)) if (params[key] === null) delete params[key];
  return { params, files: parsed.files };
}

export function sendJson(res, status, body, headers = {}) {
  const bytes = Buffer.from(JSON.stringify(body));
  res.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length, ...headers });
  res.end(bytes);
}

/** Arguments that are not plain values come as JSON text in every body but a JSON one. */
export function structured(value) {
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    throw new ApiError(400, "Bad Request: can't parse JSON value");
  }
}

export function isTrue(value) {
  return value === true || value === 1 || /^(true|1|yes)$/i.test(String(value));
}

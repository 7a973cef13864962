// A small multipart/form-data reader. Written here because the emulator has none, and because the one built into
// newer Node prints an "experimental" warning on Node 18.

function boundaryOf(contentType) {
  const found = /boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType);
  return found ? found[1] ?? found[2] : null;
}

// Clients write non-ASCII names either raw or as name*=utf-8''percent-encoded; both are in use.
function attribute(disposition, key) {
  const extended = new RegExp(`[;\\s]${key}\\*=utf-8''([^;\\s]*)`, 'i').exec(disposition);
  if (extended) return decodeURIComponent(extended[1]);
  const plain = new RegExp(`[;\\s]${key}="((?:\\\\"|[^"])*)"`, 'i').exec(disposition)
    ?? new RegExp(`[;\\s]${key}=([^;"\\s]+)`, 'i').exec(disposition);
  return plain ? plain[1].replace(/\\"/g, '"').replace(/%22/g, '"') : null;
}

function headersOf(text) {
  const headers = {};
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim();
  }
  return headers;
}

function readPart(part) {
  const headerEnd = part.indexOf('\r\n\r\n');
  if (headerEnd < 0) return null;
  const headers = headersOf(part.subarray(0, headerEnd).toString('utf8'));
  const disposition = headers['content-disposition'] ?? '';
  return {
    name: attribute(disposition, 'name'),
    filename: attribute(disposition, 'filename'),
    type: headers['content-type'] ?? null,
    bytes: part.subarray(headerEnd + 4),
  };
}

function* parts(body, boundary) {
  const mark = Buffer.from(`\r\n--${boundary}`);
  // The first boundary has no line break before it: one is put there so that all of them look alike.
  const whole = Buffer.concat([Buffer.from('\r\n'), body]);
  let at = whole.indexOf(mark);
  while (at >= 0) {
    const start = at + mark.length;
    const next = whole.indexOf(mark, start);
    if (next < 0) return;
    const part = readPart(whole.subarray(start, next));
    if (part?.name) yield part;
    at = next;
  }
}

/** Splits a body into text fields (`params`) and uploads (`files`, by field name). */
export function parseMultipart(body, contentType) {
  const boundary = boundaryOf(contentType);
  if (!boundary) throw new Error('multipart body without a boundary');
  const params = {};
  const files = new Map();
  for (const part of parts(body, boundary)) {
    // A file name, even an empty one, is what makes a part an upload.
    if (part.filename === null) params[part.name] = part.bytes.toString('utf8');
    else files.set(part.name, part);
  }
  return { params, files };
}

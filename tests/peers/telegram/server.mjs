// Usage: node server.mjs --port <port, 0 = any free one> [--port-file <path>] [--spec <path>]
import { renameSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { parseArgs } from 'node:util';
import { Bots } from './bots.mjs';
import { serveControl } from './control.mjs';
import { startEmulator } from './emulator.mjs';
import { ApiError, sendJson } from './http.mjs';
import { serveBotApi } from './shim.mjs';
import { loadSpec } from './spec.mjs';

function readOptions() {
  const { values } = parseArgs({
    options: { port: { type: 'string' }, 'port-file': { type: 'string' }, spec: { type: 'string' } },
  });
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new Error('--port <number> is needed, 0 for any');
  return { port, portFile: values['port-file'], spec: values.spec };
}

async function serve(context, req, res) {
  const url = new URL(req.url, 'http://127.0.0.1');
  if (await serveControl(context, req, res, url)) return;
  if (await serveBotApi(context, req, res, url)) return;
  throw new ApiError(404, 'Not Found');
}

function answerError(res, error) {
  // The caller has hung up: nobody to tell.
  if (res.destroyed || res.headersSent) return;
  if (error instanceof ApiError) {
    sendJson(res, error.code, error.body);
    return;
  }
  console.error(error);
  sendJson(res, 500, { ok: false, error_code: 500, description: `Internal Server Error: ${error.message}` });
}

function makeServer(context) {
  const server = http.createServer((req, res) => {
    serve(context, req, res).catch((error) => answerError(res, error));
  });
  // A connection closed for idleness just as a client uses it again would look like a fault nobody ordered.
  server.keepAliveTimeout = 0;
  return server;
}

// Written aside and moved into place, so that whoever waits for the file never reads half of it.
function announce(port, portFile) {
  if (portFile) {
    writeFileSync(`${portFile}.new`, `${port}\n`);
    renameSync(`${portFile}.new`, portFile);
  }
  console.log(`listening ${port}`);
}

function stopOnSignal(server, emulator) {
  const stop = async () => {
    server.close();
    server.closeAllConnections();
    await emulator.stop();
    process.exit(0);
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

const options = readOptions();
const spec = options.spec ? loadSpec(options.spec) : null;
const emulator = await startEmulator();
const server = makeServer({ emulator, spec, bots: new Bots() });
server.on('error', (error) => {
  console.error(`cannot listen: ${error.message}`);
  process.exit(1);
});
server.listen(options.port, '127.0.0.1', () => announce(server.address().port, options.portFile));
stopOnSignal(server, emulator);

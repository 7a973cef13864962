// Starts telegram-test-api, unmodified, and talks to it over its own HTTP API.
import http from 'node:http';
import TelegramServer from 'telegram-test-api';

// The emulator forgets messages this old. Its timer overflows (and then fires all the time) beyond 24 days.
const KEEP_SECONDS = 20 * 24 * 3600;
const UPDATES_AHEAD = 500_000_000;
const NUMBERS_SINCE = Date.UTC(2020, 0, 1);

// The emulator counts from 1 at every start; the real API never goes back. A gateway that kept an offset, or the
// message ids it has seen, from an earlier run would take everything new for old. Counting from the clock avoids that.
function firstNumber() {
  return Math.max(1, Math.floor((Date.now() - NUMBERS_SINCE) / 1000));
}

// The emulator's client would send its loopback calls through a proxy set in the environment.
function forgetProxies() {
  for (const name of ['http_proxy', 'https_proxy', 'all_proxy']) {
    delete process.env[name];
    delete process.env[name.toUpperCase()];
  }
}

function post(port, path, body) {
  const bytes = Buffer.from(JSON.stringify(body));
  const headers = { 'content-type': 'application/json', 'content-length': bytes.length };
  return new Promise((resolve, reject) => {
    const req = http.request({ host: '127.0.0.1', port, path, method: 'POST', headers, agent: false }, (res) => {
      const chunks = [];
      res.on('data', (chunk) => chunks.push(chunk));
      res.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString('utf8'))));
      res.on('error', reject);
    });
    req.on('error', reject);
    req.end(bytes);
  });
}

export async function startEmulator() {
  forgetProxies();
  const server = new TelegramServer({ host: '127.0.0.1', storeTimeout: KEEP_SECONDS });
  // The constructor reads port 0 as "the default one", so "any free port" is asked for here.
  server.config.port = 0;
  server.messageId = firstNumber();
  // Far apart, so that taking one kind of number for the other does not go unnoticed.
  server.updateId = server.messageId + UPDATES_AHEAD;
  await server.start();
  const { port } = server.server.address();
  server.config.apiURL = `http://127.0.0.1:${port}`;
  // An idle connection that is closed just as it is used again would be a failure out of nowhere.
  server.server.keepAliveTimeout = 0;
  return {
    call: (token, method, params = {}) => post(port, `/bot${token}/${method}`, params),
    client: (token, options) => server.getClient(token, options),
    stop: () => server.stop(),
  };
}

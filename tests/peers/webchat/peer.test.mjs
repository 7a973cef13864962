// Visitors and an agent talk over the web chat of a real `ii-claw up`, the visitors with a real browser.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Backend } from './backend.mjs';
import { Claw } from './claw.mjs';
import { launch } from './people.mjs';
import access from './scenes/access.mjs';
import apart from './scenes/apart.mjs';
import commands from './scenes/commands.mjs';
import faults from './scenes/faults.mjs';
import files from './scenes/files.mjs';
import look from './scenes/look.mjs';
import origins from './scenes/origins.mjs';
import rich from './scenes/rich.mjs';
import talk from './scenes/talk.mjs';
import text from './scenes/text.mjs';
import waiting from './scenes/waiting.mjs';
import { Sites } from './sites.mjs';

const stage = { claw: new Claw(), backend: new Backend(), sites: new Sites(), browser: null };

before(async () => {
  await stage.backend.start(stage.claw.secret);
  await stage.claw.start(`${stage.backend.origin}/inbound`);
  await stage.sites.start(stage.claw.origin);
  stage.browser = await launch();
});

after(async () => {
  await stage.browser?.close();
  stage.sites.close();
  await stage.claw.close();
  stage.backend.close();
});

for (const scenes of [talk, text, rich, commands, files, look, access, apart, origins, faults, waiting]) scenes(stage);

test('all that the backend was posted is signed', () => assert.equal(stage.backend.forged, 0));

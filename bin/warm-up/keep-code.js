// Runs a program of the bundle once, and keeps the code that V8 made of it for the next who start it: when it ends by itself with status 0,
// or when a parent that it has tells it to, which ends it.
// usage: node bin/warm-up/keep-code.js MODULE [ARGUMENT]...
'use strict';
const { writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { scripts, startBundle } = require('../bundled.js');

function keep() {
  for (const [file, script] of scripts) writeFileSync(`${file}.code`, script.createCachedData());
}

process.on('exit', (status) => {
  if (status === 0) keep();
});
process.on('message', (message) => {
  if (message !== 'keep') return;
  keep();
  process.kill(process.pid, 'SIGKILL');
});
const [program] = process.argv.splice(2, 1);
if (!startBundle(join(__dirname, '..', '..', 'dist'), program)) process.exit(1);

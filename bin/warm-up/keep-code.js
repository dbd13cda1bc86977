// Runs the commands of the bundle once, and keeps the code that V8 made of it for the next who start it.
// usage: node bin/warm-up/keep-code.js [CORE PROGRAM]
'use strict';
const { writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { scripts, startBundle } = require('../bundled.js');

process.on('exit', (status) => {
  if (status !== 0) return;
  for (const [file, script] of scripts) writeFileSync(`${file}.code`, script.createCachedData());
});
if (!startBundle(join(__dirname, '..', '..', 'dist'), 'warm-up')) process.exit(1);

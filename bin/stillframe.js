#!/usr/bin/env node
// `stillframe agent` and `stillframe controller` are programs of their own, and all else is another: the agent's side and the
// controller's never import each other, and a daemon's options are not those of commands.
'use strict';
const { existsSync } = require('node:fs');
const { dirname, join } = require('node:path');
const { start } = require('./bundled.js');

const dist = join(dirname(__dirname), 'dist');
const daemons = { agent: 'agent/main.js', controller: 'controller/daemon/main.js' };
const name = process.argv[2];
const daemon = name !== undefined && Object.hasOwn(daemons, name) ? daemons[name] : undefined;
const main = daemon ?? 'controller/cli/main.js';
if (!existsSync(join(dist, main))) {
  process.stderr.write('stillframe: it is not built yet: run `npm run build`\n');
  process.exit(1);
}
if (daemon !== undefined) process.argv.splice(2, 1);
start(dist, main);

#!/usr/bin/env node
// `stillframe agent` and `stillframe controller` are programs of their own, and all else is another: the agent's side and the
// controller's never import each other, and a daemon's options are not those of commands.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const dist = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist');
const daemons = { agent: 'agent/main.js', controller: 'controller/daemon/main.js' };
const name = process.argv[2];
const daemon = name !== undefined && Object.hasOwn(daemons, name) ? daemons[name] : undefined;
const main = join(dist, daemon ?? 'controller/cli/main.js');
if (!existsSync(main)) {
  process.stderr.write('stillframe: it is not built yet: run `npm run build`\n');
  process.exit(1);
}
if (daemon !== undefined) process.argv.splice(2, 1);
await import(pathToFileURL(main).href);

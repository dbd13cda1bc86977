#!/usr/bin/env node
// `stillframe agent` is one program and all else another: neither side imports the other.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const dist = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist');
const isAgent = process.argv[2] === 'agent';
const main = join(dist, isAgent ? 'agent/main.js' : 'controller/cli/main.js');
if (!existsSync(main)) {
  process.stderr.write('stillframe: it is not built yet: run `npm run build`\n');
  process.exit(1);
}
if (isAgent) process.argv.splice(2, 1);
await import(pathToFileURL(main).href);

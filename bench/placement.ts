/**
 * Where points on redis-server at -O2 come to be: the share of function entries and of lines whose probes are on instructions that the kernel emulates, as they
 * are asked for and as the planner places them. A line counts where all its addresses do.
 * usage: node dist/bench/placement.js [--json]
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { openElf } from '../format/elf/open.js';
import type { LinkAddress } from '../format/address.js';
import { openCallFrames } from '../controller/dwarf/call-frame-table.js';
import { instructionAt } from '../controller/planner/boundary.js';
import { resolveLocation } from '../controller/planner/location.js';
import { betterPlace } from '../controller/planner/placement.js';
import { openModuleSymbols } from '../controller/symbols/open.js';
import { report } from './measure.js';

const built = spawnSync(process.execPath, ['native-fixtures/redis.mjs'], { encoding: 'utf8' });
if (built.status !== 0) throw new Error(built.stderr);
const path = built.stdout.trim();
const bytes = readFileSync(path);
const elf = openElf({
  name: path,
  size: bytes.length,
  read: (offset, length) => bytes.subarray(offset, offset + length),
});
const symbols = openModuleSymbols(elf, path, openCallFrames(elf));

const isEmulated = (address: LinkAddress): boolean => instructionAt(symbols, address)?.probe === 'emulated';

interface Tally {
  all: number;
  asked: number;
  placed: number;
  pastLoads: number;
}

function tally(addresses: readonly LinkAddress[], atEntry: boolean, into: Tally): void {
  into.all++;
  if (addresses.every((address) => isEmulated(address))) into.asked++;
  const placed = (address: LinkAddress, pastLoads: boolean): boolean =>
    isEmulated(betterPlace({ symbols, address, atEntry, pastLoads }) ?? address);
  if (addresses.every((address) => placed(address, false))) into.placed++;
  if (addresses.every((address) => placed(address, true))) into.pastLoads++;
}

const entries: Tally = { all: 0, asked: 0, placed: 0, pastLoads: 0 };
const lines: Tally = { all: 0, asked: 0, placed: 0, pastLoads: 0 };
const begin = process.hrtime.bigint();
for (const name of new Set(symbols.functionNames())) {
  for (const { entry, afterPrologue, file } of symbols.findFunctions(name)) {
    if (entry === undefined || file === undefined) continue;
    tally([afterPrologue ?? entry], true, entries);
  }
}
const entriesMs = Number(process.hrtime.bigint() - begin) / 1e6;
for (const file of symbols.sourceFiles()) {
  if (!file.endsWith('.c')) continue;
  for (const line of symbols.linesWithCode(file)) {
    const sites = resolveLocation(symbols, `${file}:${line}`);
    tally(
      sites.map(({ address }) => address),
      false,
      lines,
    );
  }
}
const percent = ({ all, asked, placed, pastLoads }: Tally): Record<string, number> => ({
  'asked for': all,
  'emulated as asked, %': (100 * asked) / all,
  'emulated as placed, %': (100 * placed) / all,
  'emulated with --cheap, %': (100 * pastLoads) / all,
});
report('placement', {
  'function entries': { ...percent(entries), 'ms each': entriesMs / entries.all },
  lines: percent(lines),
});

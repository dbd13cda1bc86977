/** Writes and reads one index again and again, until it is killed. usage: node index-cache-child.js FOLDER PROGRAM */
import { DebugInfo } from '../../../controller/dwarf/unit.js';
import { sectionsOf } from '../../../controller/dwarf/sections.js';
import { buildIndex } from '../../../controller/symbols/build-index.js';
import { identityOf, IndexCache } from '../../../controller/symbols/index-cache.js';
import { openFileSource } from '../../../controller/snapshot/file-source.js';
import { openElf } from '../../../format/elf/open.js';

const [folder = '', program = ''] = process.argv.slice(2);
using source = openFileSource(program);
const elf = openElf(source);
const identity = identityOf(elf);
if (identity === undefined) throw new Error('no identity');
const tables = buildIndex(new DebugInfo(sectionsOf(elf, program)));
const cache = new IndexCache({ folder, maxBytes: 1 << 24 }, () => undefined);
for (;;) {
  cache.write(identity, tables);
  cache.open(identity);
}

/** A process that arms the workers and then only waits: to be killed. Prints the ids of its links. */
import { uprobeEngine } from '../../../../agent/engines/uprobe/engine.js';
import { heldLinkIds } from './links.js';
import { workersPlan } from './workers.js';

const pid = Number(process.argv[2]);
const engine = uprobeEngine();
await engine.arm?.(
  {
    pointId: 'child',
    pid,
    plan: workersPlan(),
    maxHits: 1000,
    minIntervalNs: 0n,
    countOnly: false,
    forced: false,
  },
  { hit: () => undefined, ended: () => undefined },
);
console.log(JSON.stringify(heldLinkIds()));
setInterval(() => undefined, 1000);

/**
 * A controller that notifies, to be killed. usage: notify-child FOLDER URL [COUNT: enqueue the opening, so many snapshots, the close]
 * Prints `enqueued` when all of it is durable, and an event of the incident when it comes.
 */
import { writeSync } from 'node:fs';
import { IncidentView } from '../../../controller/automation/incident-view.js';
import { Notifier } from '../../../controller/automation/notify.js';
import { openSymbols } from '../../../controller/service/symbols.js';
import { openStore } from '../../../controller/store/sqlite.js';
import { readTestNote } from '../store/snapshot-bytes.js';
import { causeOf, startMs } from './store-folder.js';
import { SymbolsHere } from '../../../controller/service/symbols-here.js';

const [folder = '', url = '', count] = process.argv.slice(2);
const store = openStore({ folder, readNote: readTestNote });
const { incidents, notifications: queue } = store;
const view = new IncidentView({ store, incidents, symbols: new SymbolsHere(openSymbols) });
const say = (line: string): void => void writeSync(1, `${line}\n`);
const notifier = new Notifier({
  view,
  incidents,
  queue,
  failed: (error) => say(`failed ${error.message}`),
  retry: { firstDelayMs: 20, maxDelayMs: 100, maxTries: 1000, maxAgeMs: 3600_000 },
});
if (count !== undefined) {
  const id = incidents.open(causeOf(), startMs + 1000);
  const tell = (event: 'incident-opened' | 'snapshot' | 'incident-closed', snapshot?: string): void =>
    notifier.enqueue(id, { event, timeMs: startMs, ...(snapshot === undefined ? {} : { snapshot }) }, [
      { url },
    ]);
  tell('incident-opened');
  for (let i = 0; i < Number(count); i++) tell('snapshot', `0000000000${String(i).padStart(2, '0')}`);
  incidents.close(id, 'enough', startMs + 2000);
  tell('incident-closed');
  say('enqueued');
}
notifier.start();
// Until it is killed.
setInterval(() => undefined, 1000);

/**
 * Writes incidents until it is killed, and prints each step when its call has returned. usage: incident-writer FOLDER
 * Lines: `open ID`, `add ID NUMBER`, `close ID`, `enqueue ID`.
 */
import { writeSync } from 'node:fs';
import { openStore } from '../../../controller/store/sqlite.js';
import { readTestNote } from '../store/snapshot-bytes.js';
import { causeOf, eventOf, startMs } from './store-folder.js';

using store = openStore({ folder: process.argv[2] ?? '', readNote: readTestNote });
const { incidents, notifications } = store;
const say = (line: string): void => void writeSync(1, `${line}\n`);
for (let round = 0; round < 10_000; round++) {
  const id = incidents.open(causeOf(), startMs + round);
  say(`open ${id}`);
  for (let i = 1; i <= 5; i++) {
    incidents.add(id, eventOf({ text: `event ${i}` }));
    say(`add ${id} ${i}`);
  }
  notifications.enqueue(id, { event: 'incident-opened', timeMs: startMs }, [{ url: 'http://127.0.0.1:1/' }]);
  say(`enqueue ${id}`);
  incidents.close(id, 'done', startMs + round + 1);
  say(`close ${id}`);
}

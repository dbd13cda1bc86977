/** Writes to the store of rules and kills itself with -9 at a named step. usage: killed-rule-writer FOLDER STEP */
import { openStore } from '../../../controller/store/sqlite.js';
import { readTestNote } from './snapshot-bytes.js';

const [folder = '', step = ''] = process.argv.slice(2);
const at = (name: string): void => {
  if (step === name) process.kill(process.pid, 'SIGKILL');
};

using store = openStore({ folder, readNote: readTestNote });
const { rules } = store;
rules.acceptAlerts([{ rule: 'r', key: 'a', json: '{}' }], 1);
at('accepted');
rules.saveState('r', 'fired', 1);
at('fired');
rules.atomically(() => {
  rules.saveState('r', 'half');
  at('within');
  rules.saveState('s', 'half');
});
at('whole');
process.exitCode = 3;

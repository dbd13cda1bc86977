/** Whether a process is what TARGET of the command line means. */
import type { Selector, SelectorKind } from '../../format/target-selector.js';
import type { TargetProcess } from '../targets/processes.js';

const tests: Readonly<Record<SelectorKind, (value: string, target: TargetProcess) => boolean>> = {
  pid: (value, target) => target.pid === Number(value),
  name: nameMatches,
  exe: (value, target) => target.executable === value,
  unit: (value, target) => target.unit === value || target.unit === `${value}.service`,
  container: (value, target) => target.container.startsWith(value),
  service: (value, target) => target.service === value,
  any: () => true,
};

/** Whether a process is meant; the host is not looked at. */
export function matches(selector: Selector, target: TargetProcess): boolean {
  return tests[selector.kind](selector.value, target);
}

/** The comm, which the kernel cuts at 15 bytes and a process may change; or the file name of its executable. */
function nameMatches(name: string, target: TargetProcess): boolean {
  if (target.comm === name) return true;
  return target.executable !== '' && target.executable.slice(target.executable.lastIndexOf('/') + 1) === name;
}

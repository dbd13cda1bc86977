/** TARGET of the command line: `1234`, `name:x`, `exe:path`, `unit:x`, `container:PREFIX`, `service:x`, each with an optional `@HOST`. */
import { StillframeError } from '../../format/error.js';
import type { TargetProcess } from '../targets/processes.js';

export const selectorKinds = ['pid', 'name', 'exe', 'unit', 'container', 'service'] as const;
export type SelectorKind = (typeof selectorKinds)[number];

export interface Selector {
  readonly kind: SelectorKind;
  readonly value: string;
  readonly host?: string;
}

const hint =
  'a target is a pid, name:NAME, exe:PATH, unit:UNIT, container:PREFIX or service:NAME, with an optional @HOST';

/** Throws `usage`. NB: only what follows the last `@` can be a host, and units such as `getty@tty1.service` hold one themselves. */
export function parseSelector(text: string): Selector {
  const match = /^([0-9]+)(?:@([^@]+))?$/.exec(text);
  if (match !== null) return withHost({ kind: 'pid', value: String(Number(match[1])) }, match[2]);
  const colon = text.indexOf(':');
  const kind = selectorKinds.find((candidate) => candidate === text.slice(0, colon));
  if (colon < 0 || kind === undefined || kind === 'pid') {
    throw new StillframeError('usage', `cannot parse target "${text}": it has no known kind`, { hint });
  }
  const rest = text.slice(colon + 1);
  const at = rest.lastIndexOf('@');
  const isHost = at >= 0 && !(kind === 'unit' && /\.(service|scope)$/.test(rest));
  const value = isHost ? rest.slice(0, at) : rest;
  const host = isHost ? rest.slice(at + 1) : undefined;
  if (value === '' || host === '') {
    throw new StillframeError('usage', `cannot parse target "${text}": a part of it is empty`, { hint });
  }
  return withHost({ kind, value }, host);
}

const withHost = (selector: Selector, host: string | undefined): Selector =>
  host === undefined ? selector : { ...selector, host };

const tests: Readonly<Record<SelectorKind, (value: string, target: TargetProcess) => boolean>> = {
  pid: (value, target) => target.pid === Number(value),
  name: nameMatches,
  exe: (value, target) => target.executable === value,
  unit: (value, target) => target.unit === value || target.unit === `${value}.service`,
  container: (value, target) => target.container.startsWith(value),
  service: (value, target) => target.service === value,
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

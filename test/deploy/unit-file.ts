import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StartedProgram, Workplace } from '../support/cli.js';
import { repositoryRoot } from '../support/paths.js';

export const stillframe: string = join(repositoryRoot, 'bin', 'stillframe.js');

export type UnitName = 'stillframe-agent' | 'stillframe-controller';

export const readUnit = (name: UnitName): string =>
  readFileSync(join(repositoryRoot, 'deploy', 'systemd', `${name}.service`), 'utf8');

/** The values of a setting, all its lines together, as systemd adds them up. */
export function unitValues(name: UnitName, setting: string): string[] {
  const lines = readUnit(name)
    .split('\n')
    .filter((line) => line.startsWith(`${setting}=`));
  if (lines.length === 0) throw new Error(`${name} sets no ${setting}`);
  return lines.flatMap((line) => line.slice(setting.length + 1).split(/\s+/)).filter((value) => value !== '');
}

/** The unit with the program that is there instead of the one that an installation would bring. */
export function writeRunnableUnit(name: UnitName, folder: string): string {
  const file = join(folder, `${name}.service`);
  writeFileSync(file, readUnit(name).replaceAll('/usr/bin/stillframe', stillframe));
  return file;
}

/** An ordinary user without a name, as good as any. */
export const ordinaryUser = 65_534;

/** Arguments of setpriv that leave a program what the unit leaves it, less what is `without`. */
export function asUnit(name: UnitName, without?: string): string[] {
  return asOrdinary(unitValues(name, 'CapabilityBoundingSet').filter((each) => each !== without));
}

/** Arguments of setpriv that make a program an ordinary user's, with these capabilities alone. */
export function asOrdinary(capabilities: readonly string[]): string[] {
  const list = ['-all', ...capabilities.map((each) => `+${each.slice('CAP_'.length).toLowerCase()}`)].join();
  const user = ['--reuid', String(ordinaryUser), '--regid', String(ordinaryUser), '--clear-groups'];
  return [...user, '--no-new-privs', '--bounding-set', list, '--inh-caps', list, '--ambient-caps', list];
}

/** A folder of the ordinary user's. */
export function makeOrdinaryFolder(parent: string, name: string): string {
  const folder = join(parent, name);
  mkdirSync(folder);
  // The way to it is open.
  chmodSync(parent, 0o711);
  chownSync(folder, ordinaryUser, ordinaryUser);
  return folder;
}

/** An agent as the unit runs it, less a capability. Gives its address. */
export async function startAgentAsUnit(
  workplace: Workplace,
  name: string,
  options: {
    readonly without?: string;
    readonly only?: readonly string[];
    readonly under?: readonly string[];
  } = {},
): Promise<StartedProgram & { readonly address: string }> {
  const folder = makeOrdinaryFolder(workplace.folder, name);
  const address = `unix:${join(folder, 'agent.sock')}`;
  const agent = [
    process.execPath,
    stillframe,
    'agent',
    '--listen',
    address,
    '--spool',
    join(folder, 'spool'),
  ];
  const { only, without } = options;
  const privileges = only === undefined ? asUnit('stillframe-agent', without) : asOrdinary(only);
  const args = [...privileges, ...(options.under ?? []), ...agent];
  const started = await workplace.startProgram('setpriv', args, { ready: /^stillframe agent ready/ });
  return { ...started, address };
}

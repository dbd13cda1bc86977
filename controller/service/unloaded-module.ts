/**
 * A library that a process has not loaded, so that a point can be set in it before: named by its path, or by its name where exactly one file of that name lies
 * beside what the process has loaded. Only its build id says in the end that what is loaded is that file.
 */
import { existsSync } from 'node:fs';
import { openElf } from '../../format/elf/open.js';
import { StillframeError } from '../../format/error.js';
import type { AgentModule, TargetFacts } from '../rpc/agent-facts.js';
import { openFileSource } from '../snapshot/file-source.js';

/**
 * Undefined where there is no such file. `local`: /proc/PID here is the agent's. Throws `ambiguous`, and `unsupported` for a file without build id.
 */
export function findUnloadedModule(
  { target, modules }: TargetFacts,
  name: string,
  local: boolean,
): AgentModule | undefined {
  const root = local ? `/proc/${target.pid}/root` : '';
  const path = name.startsWith('/') ? name : findBeside(modules, name, root);
  if (path === undefined || !existsSync(`${root}${path}`)) return undefined;
  const buildId = readBuildId(`${root}${path}`, path);
  return { path, buildId, start: 0n, end: 0n, bias: 0n, deleted: false };
}

function findBeside(modules: readonly AgentModule[], name: string, root: string): string | undefined {
  if (name.includes('/')) return undefined;
  const folders = new Set(modules.map(({ path }) => path.slice(0, path.lastIndexOf('/'))));
  const found = [...folders]
    .filter((folder) => folder.startsWith('/'))
    .map((folder) => `${folder}/${name}`)
    .filter((path) => existsSync(`${root}${path}`));
  if (found.length < 2) return found[0];
  throw new StillframeError('ambiguous', `more than one file "${name}" could be loaded`, {
    candidates: found,
    hint: 'name the file by its path',
  });
}

function readBuildId(file: string, path: string): string {
  using source = openFileSource(file);
  const { buildId } = openElf(source);
  if (buildId !== undefined && buildId !== '') return buildId;
  throw new StillframeError(
    'unsupported',
    `cannot wait for "${path}": it has no build id, and nothing would prove that what is loaded is this file`,
    { detail: { file: path }, hint: 'link it with -Wl,--build-id' },
  );
}

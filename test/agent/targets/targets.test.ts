import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Plan } from '../../../format/plan/plan.js';
import { readMaps } from '../../../agent/linux/proc.js';
import { parseCgroupNames } from '../../../agent/targets/cgroup.js';
import { ElfFactsCache } from '../../../agent/targets/elf-facts.js';
import { readModules } from '../../../agent/targets/modules.js';
import { findProbeFile } from '../../../agent/targets/probe-file.js';
import { readProcessFacts } from '../../../agent/targets/process-facts.js';
import { findProcess, listProcesses, serviceName } from '../../../agent/targets/processes.js';
import { matches } from '../../../agent/tracer/select.js';
import { parseSelector } from '../../../format/target-selector.js';
import { compileC } from '../../support/compile-c.js';
import { startProgram } from '../../support/running-program.js';

const source = `#include <stdio.h>
#include <math.h>
#include <stdlib.h>
int probed(int x) { return x * 3; }
int main(int argc, char **argv) {
  printf("%p %p %p\\n", (void *)probed, (void *)sqrt, (void *)malloc);
  fflush(stdout);
  getchar();
  return probed(argc);
}`;
const pie = compileC(source, { name: 'modules', flags: ['-g', '-O0', '-lm', '-Wl,--no-as-needed', '-lm'] });
const fixed = compileC(source, {
  name: 'fixed',
  flags: ['-g', '-O0', '-no-pie', '-Wl,--no-as-needed', '-lm'],
});
const fixedStatic = compileC(source.replace('(void *)sqrt', '(void *)probed'), {
  name: 'static',
  flags: ['-g', '-static'],
});

function buildIdOf(path: string): string {
  return /Build ID: ([0-9a-f]+)/.exec(execFileSync('readelf', ['-n', path], { encoding: 'utf8' }))?.[1] ?? '';
}

function symbolAddress(path: string, name: string): bigint {
  const line = execFileSync('nm', [path], { encoding: 'utf8' })
    .split('\n')
    .find((text) => text.endsWith(` T ${name}`));
  return BigInt(`0x${line?.split(' ')[0]}`);
}

test.each([
  ['/system.slice/redis.service', 'redis.service', ''],
  [`/docker/${'a1'.repeat(32)}`, '', 'a1'.repeat(32)],
  [`/system.slice/docker-${'b2'.repeat(32)}.scope`, '', 'b2'.repeat(32)],
  [`/kubepods.slice/kubepods-pod1.slice/cri-containerd-${'c3'.repeat(32)}.scope`, '', 'c3'.repeat(32)],
  ['/user.slice/user-0.slice/session-1.scope', 'session-1.scope', ''],
  ['/system.slice/a\\x2db.service', 'a-b.service', ''],
  ['/', '', ''],
])('reads the names in cgroup %s', (path, unit, container) => {
  expect(parseCgroupNames(path)).toEqual({ unit, container });
});

test('takes the service from the OpenTelemetry variables', () => {
  expect(serviceName(Buffer.from('OTEL_RESOURCE_ATTRIBUTES=a=b,service.name=orders\0'))).toBe('orders');
  expect(serviceName(Buffer.from('OTEL_RESOURCE_ATTRIBUTES=service.name=x\0OTEL_SERVICE_NAME=y\0'))).toBe(
    'y',
  );
  expect(serviceName(Buffer.from('PATH=/bin\0'))).toBe('');
});

test('finds a process by all its names', async () => {
  await using target = startProgram(pie, ['one', 'two words'], { OTEL_SERVICE_NAME: 'orders' });
  await target.nextLine();
  const cache = new ElfFactsCache();
  const found = listProcesses(cache).find((process) => process.pid === target.pid);
  expect(found).toMatchObject({
    pid: target.pid,
    comm: 'modules',
    executable: pie,
    args: [pie, 'one', 'two words'],
    buildId: buildIdOf(pie),
    uid: process.getuid?.(),
    service: 'orders',
  });
  expect(found?.refusal).toBeUndefined();
  expect(Math.abs((found?.startTimeMs ?? 0) - Date.now())).toBeLessThan(60_000);
  for (const text of [String(target.pid), 'name:modules', `exe:${pie}`, 'service:orders']) {
    expect(found !== undefined && matches(parseSelector(text), found)).toBe(true);
  }
  for (const text of ['name:module', 'service:order', 'unit:modules', 'container:a', `${target.pid + 1}`]) {
    expect(found !== undefined && matches(parseSelector(text), found)).toBe(false);
  }
  expect(findProcess(0x7fffffff, cache)).toBeUndefined();
  // Kernel threads, zombies and threads that are no processes are none.
  expect(findProcess(2, cache)?.executable ?? '').toBe('');
});

test.each([
  ['position-independent', pie],
  ['fixed', fixed],
  ['static', fixedStatic],
])('places the modules of a %s program', async (_, program) => {
  await using target = startProgram(program);
  const [probed = 0n, sqrt = 0n, malloc = 0n] = (await target.nextLine()).split(' ').map(BigInt);
  const modules = readModules(target.pid, readMaps(target.pid), new ElfFactsCache());
  const own = modules.find((module) => module.path === program);
  expect(own?.buildId).toBe(buildIdOf(program));
  expect(own?.bias).toBe(probed - symbolAddress(program, 'probed'));
  for (const address of [probed, sqrt, malloc]) {
    expect(modules.filter((module) => module.start <= address && address < module.end)).toHaveLength(1);
  }
  for (const module of modules.filter((candidate) => candidate.path !== '[vdso]')) {
    expect(module.buildId).toBe(buildIdOf(module.path));
  }
  expect(modules.find((module) => module.path === '[vdso]')?.buildId).toMatch(/^[0-9a-f]{40}$/);
});

function planFor(program: string, change: Partial<Plan['module']> = {}, offset = 0): Plan {
  const linkAddress = symbolAddress(program, 'probed');
  const base = program === pie ? 0n : 0x400000n;
  return {
    version: 1,
    module: { buildId: buildIdOf(program), path: program, ...change },
    sites: [
      {
        linkAddress,
        fileOffset: Number(linkAddress - base) + offset,
        function: 'probed',
        inlined: false,
        ranges: [],
      },
    ],
    stackBytes: 0,
    maxBytes: 1024,
    request: { location: 'probed', captures: [] },
  };
}

test('finds the file to probe, deleted or not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'targets-'));
  const copy = join(folder, 'a b');
  copyFileSync(pie, copy);
  chmodSync(copy, 0o755);
  await using target = startProgram(copy);
  const [probed = 0n] = (await target.nextLine()).split(' ').map(BigInt);
  rmSync(folder, { recursive: true });
  mkdirSync(folder);
  const plan = planFor(pie, { path: copy });
  const file = findProbeFile(target.pid, plan, new ElfFactsCache());
  expect(file).toMatchObject({ pid: target.pid, buildId: buildIdOf(pie) });
  expect(file.sites).toEqual([{ address: probed, fileOffset: plan.sites[0]?.fileOffset }]);
  expect(buildIdOf(file.path)).toBe(buildIdOf(pie));
  expect(readModules(target.pid, readMaps(target.pid), new ElfFactsCache())).toContainEqual(
    expect.objectContaining({ path: copy, deleted: true }),
  );
  rmSync(folder, { recursive: true });
});

test('refuses a file that the plan was not made for', async () => {
  await using target = startProgram(pie);
  await target.nextLine();
  const cache = new ElfFactsCache();
  expect(() => findProbeFile(target.pid, planFor(pie, { buildId: 'abcd' }), cache)).toThrow(
    `cannot probe "${pie}" in process ${target.pid}: build id ${buildIdOf(pie)} is mapped, the plan was made for build id abcd`,
  );
  expect(() => findProbeFile(target.pid, planFor(fixed), cache)).toThrow(
    `process ${target.pid} does not map "${fixed}" (build id ${buildIdOf(fixed)})`,
  );
  expect(() => findProbeFile(target.pid, planFor(pie, {}, 1), cache)).toThrow(
    /^cannot probe 0x[0-9a-f]+ in ".*": file offset 0x[0-9a-f]+ is mapped there, the plan says 0x[0-9a-f]+$/,
  );
});

test('a library need not be loaded, if it lies where the plan says; a program must be', async () => {
  const flags = ['-g', '-O1', '-shared', '-fPIC'];
  const library = compileC('int probed(void) { return 1; }', { name: 'libprobed.so', flags });
  await using target = startProgram(pie);
  await target.nextLine();
  const cache = new ElfFactsCache();
  const plan = planFor(pie);
  const module = { buildId: buildIdOf(library), path: library };
  const linkAddress = symbolAddress(library, 'probed');
  const [site] = plan.sites;
  if (site === undefined) throw new Error('no site');
  const at = (fileOffset: number): Plan => ({
    ...plan,
    module,
    sites: [{ ...site, linkAddress, fileOffset }],
  });
  const file = findProbeFile(target.pid, at(Number(linkAddress)), cache);
  expect(file).toMatchObject({ path: `/proc/${target.pid}/root${library}`, sites: [], bias: 0n });
  expect(file.library?.whyNot()).toBe(`no such module: process ${target.pid} does not map "${library}"`);
  expect(() => findProbeFile(target.pid, at(Number(linkAddress) + 1), cache)).toThrow(
    `cannot probe "${library}": file offset 0x${(linkAddress + 1n).toString(16)} is not the code at link address 0x${linkAddress.toString(16)}`,
  );
  const another = { ...at(Number(linkAddress)), module: { ...module, buildId: 'abcd' } };
  expect(() => findProbeFile(target.pid, another, cache)).toThrow(
    `process ${target.pid} does not map "${library}" (build id abcd)`,
  );
});

test('collects what a debugger needs to find the libraries', async () => {
  await using target = startProgram(pie);
  await target.nextLine();
  const facts = readProcessFacts(target.pid, new ElfFactsCache());
  const names = facts.ranges
    .filter((range) => range.path === 'link map name')
    .map((range) => Buffer.from(range.bytes).toString('utf8').replace(/\0$/, ''));
  for (const module of facts.modules) {
    if (module.path === pie || module.path === '[vdso]') continue;
    expect(
      names.some(
        (name) => name.slice(name.lastIndexOf('/')) === module.path.slice(module.path.lastIndexOf('/')),
      ),
    ).toBe(true);
  }
  const paths = facts.ranges.map((range) => range.path);
  expect(paths).toContain('r_debug');
  expect(paths).toContain('program headers');
  expect(paths).toContain('vdso');
  expect(paths.filter((path) => path === 'link map').length).toBeGreaterThanOrEqual(4);
  // Nothing lies in two ranges.
  const sorted = facts.ranges.toSorted((a, b) => (a.address < b.address ? -1 : 1));
  for (const [i, range] of sorted.entries()) {
    const next = sorted[i + 1];
    if (next !== undefined) expect(range.address + BigInt(range.bytes.length) <= next.address).toBe(true);
  }
});

test('a static program has no link map', async () => {
  await using target = startProgram(fixedStatic);
  await target.nextLine();
  const facts = readProcessFacts(target.pid, new ElfFactsCache());
  expect(new Set(facts.ranges.map((range) => range.path))).toEqual(new Set(['vdso', 'program headers']));
});

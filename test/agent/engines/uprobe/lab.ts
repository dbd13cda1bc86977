/** A program that puts registers and memory into given states and passes a probed nop in each; see native-fixtures/probe-lab. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileFixture } from '../../../support/compile.js';
import { type RunningProgram, startProgram } from '../../../support/running-program.js';

export const regionStart = 0x1000_0000_0000n;
export const regionPages = 8;
export const pageBytes = 4096;

export interface Lab extends AsyncDisposable {
  readonly pid: number;
  readonly path: string;
  readonly buildId: string;
  readonly program: RunningProgram;
  /** Runs so many of the states, in order; resolves when they ran. */
  step(states: number): Promise<void>;
}

export interface LabState {
  /** By DWARF number, sixteen. */
  readonly registers: readonly bigint[];
}

export function labProgram(): string {
  return compileFixture('probe-lab/registers.c', {
    cc: 'gcc',
    flags: ['-g', '-O2', '-pie', '-fPIE', '-Wl,--build-id=sha1'],
  });
}

export async function startLab(states: readonly LabState[], memory: Uint8Array): Promise<Lab> {
  const path = labProgram();
  const folder = mkdtempSync(join(tmpdir(), 'probe-lab-'));
  const bytes = Buffer.alloc(states.length * 128);
  states.forEach(({ registers }, i) => {
    for (let r = 0; r < 16; r++)
      bytes.writeBigUInt64LE(BigInt.asUintN(64, registers[r] ?? 0n), i * 128 + r * 8);
  });
  writeFileSync(join(folder, 'states'), bytes);
  writeFileSync(join(folder, 'memory'), memory);
  const program = startProgram(path, [join(folder, 'states'), join(folder, 'memory')]);
  await program.nextLine();
  rmSync(folder, { recursive: true });
  return {
    pid: program.pid,
    path,
    buildId: buildIdOf(path),
    program,
    async step(count) {
      program.child.stdin.write(`${count}\n`);
      await program.nextLine();
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

const answers = new Map<string, string>();

/** What a tool says of a file, which is asked once: random tests ask for each plan. */
function ask(tool: string, ...args: readonly string[]): string {
  const question = [tool, ...args].join(' ');
  const answer = answers.get(question) ?? execFileSync(tool, args, { encoding: 'utf8' });
  answers.set(question, answer);
  return answer;
}

/** As readelf prints it. */
export function buildIdOf(path: string): string {
  const text = ask('readelf', '-n', path);
  return /Build ID: ([0-9a-f]+)/.exec(text)?.[1] ?? '';
}

/** The address of a symbol, as nm prints it. */
export function symbolAddress(path: string, name: string): bigint {
  const text = ask('nm', path);
  const line = text.split('\n').find((candidate) => candidate.endsWith(` ${name}`));
  if (line === undefined) throw new Error(`${path} has no symbol ${name}`);
  return BigInt(`0x${line.split(' ')[0] ?? ''}`);
}

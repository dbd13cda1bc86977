/**
 * Commands killed at random instants, from their start until what they asked for is there, by signals that they cannot or can hear of: without an agent, with one, and
 * with a controller. After each batch: no point is alive, nothing of them is in the service nor in the kernel for it, no process of theirs is left, no file that nobody
 * asks for, and the service says that it computes as it should.
 */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, readSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { holdAddressRegisters, takenAddressRegisters } from '../support/address-registers.js';
import { connectAgent } from '../support/agent-client.js';
import { openWorkplace, type Workplace } from '../support/cli.js';
import { disturbedThreads } from '../support/code-bytes.js';
import { probeLinksOf } from '../support/kernel-links.js';
import { repositoryRoot } from '../support/paths.js';
import { startProgram, type RunningProgram } from '../support/running-program.js';
import { askVerdict, checkerProgram } from './kill-storm.js';

/** Who serves the commands: an agent of each command's own, one that stays, or a controller with one. */
export const servedBy = ['command', 'agent', 'controller'] as const;
export type ServedBy = (typeof servedBy)[number];

export interface CommandStormOptions {
  readonly kills: Readonly<Record<ServedBy, number>>;
  /** Commands at once, each on a service of its own. */
  readonly lanes: number;
  readonly tell?: (line: string) => void;
}

export interface CommandStormResult {
  readonly kills: number;
  /** By kind of command: killed before it said anything, and after. */
  readonly byKind: ReadonlyMap<string, { early: number; late: number }>;
  /** What was left two minutes after a batch, and what was wrong. */
  readonly remains: readonly string[];
}

const program = join(repositoryRoot, 'bin', 'stillframe.js');
const batchKills = 24;
const settleMs = 120_000;
const maxLifeMs = 60_000;
/** Until a command says something, where none of its kind has yet. */
const guessedMs = 1500;

/** The kinds of commands; those with `software` in their names run while the processor's address registers are taken. */
function commandsOf(pid: number, file: string): ReadonlyMap<string, readonly string[]> {
  const target = String(pid);
  const many = ['--hits', '1000', '--every', '200ms'];
  const ptrace = ['--engine', 'ptrace'];
  const snap = ['snap', target, 'step', '--if', 'work->kind == 1', ...many];
  const log = ['log', target, 'step', 'work {work->number} {work->name}', '--rate', '5/s'];
  const metric = ['metric', target, 'step', '--sum', 'work->number', '--every', '200ms'];
  return new Map([
    ['snap', snap],
    ['snap by ptrace', [...snap, ...ptrace]],
    ['snap by ptrace software', [...snap, ...ptrace]],
    ['log', log],
    ['log by ptrace', [...log, ...ptrace]],
    ['log by ptrace software', [...log, ...ptrace]],
    ['metric', metric],
    ['metric by ptrace', [...metric, ...ptrace]],
    ['watch', ['watch', target, 'latest', ...many]],
    ['explain', ['explain', target, 'step', '--measure', '1s']],
    ['explain by ptrace', ['explain', target, 'step', '--measure', '1s', ...ptrace]],
    ['now', ['now', target]],
    ['core', ['core', target, '--full', '-o', file]],
  ]);
}

const isSoftware = (kind: string): boolean => kind.endsWith('software');

export async function commandStorm(options: CommandStormOptions): Promise<CommandStormResult> {
  const storm = new CommandStorm(options);
  for (const by of servedBy) if (options.kills[by] > 0) await storm.run(by, options.kills[by]);
  return storm;
}

class CommandStorm implements CommandStormResult {
  readonly #options: CommandStormOptions;
  readonly remains: string[] = [];
  readonly byKind = new Map<string, { early: number; late: number }>();
  kills = 0;
  /** How long a kind of command took to say something, as the last that did. */
  readonly #sayMs = new Map<string, number>();
  #turn = 0;

  constructor(options: CommandStormOptions) {
    this.#options = options;
  }

  async run(by: ServedBy, kills: number): Promise<void> {
    await using place = await openPlace(by, this.#options.lanes);
    for (let done = 0; done < kills;) {
      const startMs = performance.now();
      const size = Math.min(batchKills, kills - done);
      const software = Math.floor(done / batchKills) % 3 === 2;
      await this.#batch(place, size, software);
      done += size;
      const left = await place.settle();
      this.remains.push(...left.map((what) => `${by}, after ${done} kills: ${what}`));
      const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
      const said = left.length === 0 ? 'nothing is left' : left.join('; ');
      this.#options.tell?.(`${by}: ${done} of ${kills} killed, the batch in ${seconds} s; ${said}`);
      // What is left would be found after the next batch, too.
      if (left.length > 0) return;
    }
  }

  async #batch(place: Place, size: number, software: boolean): Promise<void> {
    let left = size;
    await Promise.all(
      place.services.map(async (service, lane) => {
        const all = commandsOf(service.pid, join(place.out, `lane${lane}.core`));
        const kinds = [...all].filter(([kind]) => isSoftware(kind) === software);
        using _held = software ? holdAddressRegisters(service.pid) : undefined;
        while (left-- > 0) {
          const [kind, args] = kinds[this.#turn++ % kinds.length] ?? ['', []];
          await this.#kill(place, kind, args);
        }
      }),
    );
  }

  async #kill(place: Place, kind: string, args: readonly string[]): Promise<void> {
    const key = `${place.by} ${kind}`;
    const child = spawn(process.execPath, [program, ...args, '--json'], {
      env: place.workplace.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const beganMs = performance.now();
    const state = { said: false, ended: false };
    child.stderr.resume();
    child.stdout.on('data', () => {
      if (!state.said) this.#sayMs.set(key, performance.now() - beganMs);
      state.said = true;
    });
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => {
        state.ended = true;
        resolve();
      });
    });
    const sayMs = this.#sayMs.get(key) ?? guessedMs;
    const chance = Math.random();
    // Some once it has said something, most on the way: half of them towards its end, where points are armed.
    const share = chance < 0.6 ? 0.7 + Math.random() * 0.35 : Math.random() * 1.1;
    const untilMs = chance < 0.25 ? maxLifeMs : share * sayMs;
    while (!state.said && !state.ended && performance.now() - beganMs < untilMs) await sleep(2);
    if (untilMs === maxLifeMs && !state.ended) await sleep(Math.random() * 200);
    const tally = this.byKind.get(kind) ?? { early: 0, late: 0 };
    tally[state.said ? 'late' : 'early'] += 1;
    this.byKind.set(kind, tally);
    this.kills += 1;
    child.kill(Math.random() < 0.6 ? 'SIGKILL' : Math.random() < 0.5 ? 'SIGINT' : 'SIGTERM');
    const isEnded = await Promise.race([ended.then(() => true), sleep(maxLifeMs, false, { ref: false })]);
    if (isEnded) return;
    this.remains.push(`${key}: it does not end when it is interrupted`);
    child.kill('SIGKILL');
    await ended;
  }
}

interface Place extends AsyncDisposable {
  readonly by: ServedBy;
  readonly workplace: Workplace;
  readonly services: readonly RunningProgram[];
  /** Where commands write what they were told to write. */
  readonly out: string;
  /** What is left when two minutes were waited for it to go. */
  settle(): Promise<readonly string[]>;
}

async function openPlace(by: ServedBy, lanes: number): Promise<Place> {
  const workplace = openWorkplace();
  const services: RunningProgram[] = [];
  const close = async (): Promise<void> => {
    for (const service of services) await service[Symbol.asyncDispose]();
    await workplace[Symbol.asyncDispose]();
  };
  try {
    const [temporary, out] = ['tmp', 'out'].map((name) => join(workplace.folder, name)) as [string, string];
    for (const folder of [temporary, out]) mkdirSync(folder);
    const { environment } = workplace;
    environment['TMPDIR'] = temporary;
    if (by === 'command') {
      delete environment['STILLFRAME_AGENT'];
      environment['XDG_RUNTIME_DIR'] = temporary;
    } else {
      await workplace.startAgent();
      if (by === 'controller') await workplace.startController();
    }
    // With the mark of this place: so are copies of them known.
    const mark = { XDG_DATA_HOME: environment['XDG_DATA_HOME'] ?? '' };
    for (let i = 0; i < lanes; i++) {
      const service = startProgram(checkerProgram(), ['2', 'with-a-free-signal'], mark);
      services.push(service);
      await service.nextLine();
    }
    const known = new Set(processesOf(mark.XDG_DATA_HOME));
    const passes = new Map<number, number>();
    const look = async (): Promise<string[]> => [
      ...(await pointsAlive(workplace, by)),
      ...services.flatMap(({ pid }) => disturbanceOf(pid)),
      ...processesOf(mark.XDG_DATA_HOME)
        .filter((pid) => !known.has(pid))
        .map((pid) => `process ${pid}: ${commandLine(pid)}`),
      ...(await filesLeft(workplace, by)),
    ];
    return {
      by,
      workplace,
      services,
      out,
      async settle() {
        const untilMs = performance.now() + settleMs;
        let left = await look();
        while (left.length > 0 && performance.now() < untilMs) {
          await sleep(250);
          left = await look();
        }
        for (const service of services) {
          const verdict = await askVerdict(service);
          if (verdict.wrong > 0 || verdict.signals > 0)
            left.push(`the service says ${JSON.stringify(verdict)}`);
          if (verdict.passes <= (passes.get(service.pid) ?? 0)) left.push('the service stands still');
          passes.set(service.pid, verdict.passes);
        }
        // A command that is killed cannot take away the half of a file that it was told to write.
        for (const name of readdirSync(out)) rmSync(join(out, name));
        return left;
      },
      [Symbol.asyncDispose]: close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function pointsAlive(workplace: Workplace, by: ServedBy): Promise<string[]> {
  if (by === 'command') return [];
  using client = await connectAgent(workplace.environment['STILLFRAME_AGENT'] ?? '');
  const points = await client.points();
  const alive = points.filter(({ phase }) => phase !== 'ended' && phase !== 'failed');
  if (alive.length > 0) return alive.map(({ id, phase, why }) => `point ${id} is ${phase}: ${why}`);
  // As people see it.
  const listed = (await workplace.json('points')) as { id: string; state: string; why: string }[];
  return listed
    .filter(({ state }) => state !== 'ended' && state !== 'failed')
    .map(({ id, state, why }) => `point ${id} is listed as ${state}: ${why}`);
}

function disturbanceOf(pid: number): string[] {
  return [
    ...probeLinksOf(pid).map((link) => `link ${link}`),
    ...disturbedThreads(pid).map((tid) => `thread ${tid} stands still or is traced`),
    ...readdirSync(`/proc/${pid}/task`).flatMap((tid) => {
      const taken = takenAddressRegisters(Number(tid));
      return taken === 0 ? [] : [`${taken} address registers of thread ${tid}`];
    }),
    ...(isCodeWhole(pid) ? [] : ['its code is not as it was built']),
  ];
}

/** What the process has of its own file's code, and what is in the file. */
function isCodeWhole(pid: number): boolean {
  const file = readFileSync(checkerProgram());
  const line = readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .find((each) => each.includes(' r-xp ') && each.endsWith(checkerProgram()));
  const [, start = '0', end = '0', offset = '0'] = /^(\w+)-(\w+) r-xp (\w+)/.exec(line ?? '') ?? [];
  const [from, to, at] = [start, end, offset].map((text) => parseInt(text, 16)) as [number, number, number];
  const bytes = memoryOf(pid, from, to - from);
  return bytes.length > 0 && bytes.equals(file.subarray(at, at + bytes.length));
}

function memoryOf(pid: number, address: number, length: number): Buffer {
  const fd = openSync(`/proc/${pid}/mem`, 'r');
  try {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(fd, bytes, 0, length, address));
  } finally {
    closeSync(fd);
  }
}

/** Processes that were started with this folder for their data. */
function processesOf(data: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`XDG_DATA_HOME=${data}`);
      } catch {
        return false;
      }
    });
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').slice(-200);
  } catch {
    return 'it went meanwhile';
  }
}

/** What points of this store brought before their commands were killed is there for who asks. */
async function filesLeft(workplace: Workplace, by: ServedBy): Promise<string[]> {
  const { folder } = workplace;
  const left = readdirSync(join(folder, 'tmp'));
  const own = join(folder, 'data', 'stillframe', 'spool');
  left.push(...filesOf(own));
  if (by === 'command') return left.map((name) => `file ${name}`);
  const spool = join(folder, 'spool');
  const waiting = (): string[] => filesOf(spool).filter((name) => name.includes('.core'));
  if (waiting().length > 0) await workplace.json('snapshots');
  return [...left, ...waiting()].map((name) => `file ${name}`);
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Threads that call a probed function as often as told; see native-fixtures/probe-lab/workers.c. */
import { readFileSync } from 'node:fs';
import { DW_OP } from '../../../../format/dwarf-op/opcodes.js';
import type { Plan, PlanRange } from '../../../../format/plan/plan.js';
import { ProcessMemory } from '../../../../agent/linux/memory.js';
import { compileFixture } from '../../../support/compile.js';
import { expression, sleb, uleb } from '../../../support/dwarf-expression.js';
import { startProgram } from '../../../support/running-program.js';
import { buildIdOf, symbolAddress } from './lab.js';

export interface Workers extends AsyncDisposable {
  readonly pid: number;
  /** Each thread calls so often; resolves when all have, with the total of calls so far. */
  call(times: number): Promise<number>;
  /** Ends it as a program ends by itself. */
  bye(): Promise<void>;
  /** The first bytes of the probed function, as they are in memory now. */
  code(): Buffer;
}

export function workersProgram(): string {
  return compileFixture('probe-lab/workers.c', {
    cc: 'gcc',
    flags: ['-g', '-O1', '-pthread', '-pie', '-fPIE', '-Wl,--build-id=sha1'],
  });
}

export async function startWorkers(threads: number): Promise<Workers> {
  const path = workersProgram();
  const program = startProgram(path, [String(threads)]);
  await program.nextLine();
  const link = symbolAddress(path, 'handle');
  return {
    pid: program.pid,
    async call(times) {
      program.child.stdin.write(`${times}\n`);
      return Number(await program.nextLine());
    },
    async bye() {
      program.child.stdin.write('bye\n');
      await program.ended;
    },
    code() {
      const first = readFileSync(`/proc/${program.pid}/maps`, 'utf8').split('-')[0] ?? '';
      using memory = new ProcessMemory(program.pid);
      const read = memory.read(BigInt(`0x${first}`) + link, 4);
      if (!('bytes' in read)) throw new Error(read.detail);
      return Buffer.from(read.bytes);
    },
    [Symbol.asyncDispose]: () => program[Symbol.asyncDispose](),
  };
}

const rdi = DW_OP.DW_OP_breg5;
const constant = (value: number): Uint8Array => expression(DW_OP.DW_OP_constu, uleb(value));

/** order, order->customer, order->customer->name. */
export const orderRanges: readonly PlanRange[] = [
  {
    path: 'order',
    address: expression(rdi, sleb(0)),
    length: constant(24),
    maxBytes: 24,
    untilNul: false,
    secret: false,
    children: [
      {
        path: 'order->customer',
        address: expression(
          DW_OP.DW_OP_push_object_address,
          DW_OP.DW_OP_plus_uconst,
          uleb(16),
          DW_OP.DW_OP_deref,
        ),
        length: constant(16),
        maxBytes: 16,
        untilNul: false,
        secret: false,
        children: [
          {
            path: 'order->customer->name',
            address: expression(DW_OP.DW_OP_push_object_address, DW_OP.DW_OP_deref),
            length: constant(64),
            maxBytes: 64,
            untilNul: true,
            secret: false,
            children: [],
          },
        ],
      },
    ],
  },
];

/** `order->id % divisor == 0` */
export const everyNth = (divisor: number): Uint8Array =>
  expression(
    rdi,
    sleb(0),
    DW_OP.DW_OP_deref,
    DW_OP.DW_OP_constu,
    uleb(divisor),
    DW_OP.DW_OP_mod,
    DW_OP.DW_OP_lit0,
    DW_OP.DW_OP_eq,
  );

export interface WorkersPlanOptions {
  readonly condition?: Uint8Array;
  readonly stackBytes?: number;
  readonly maxBytes?: number;
  readonly ranges?: readonly PlanRange[];
}

export function workersPlan(options: WorkersPlanOptions = {}): Plan {
  const path = workersProgram();
  const address = symbolAddress(path, 'handle');
  return {
    version: 1,
    module: { buildId: buildIdOf(path), path },
    stackBytes: options.stackBytes ?? 1024,
    maxBytes: options.maxBytes ?? 65_536,
    request: { location: 'handle', captures: [] },
    sites: [
      {
        linkAddress: address,
        fileOffset: Number(address),
        function: 'handle',
        inlined: false,
        ranges: options.ranges ?? orderRanges,
        ...(options.condition === undefined ? {} : { condition: options.condition }),
      },
    ],
  };
}

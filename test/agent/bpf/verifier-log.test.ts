/** Logs as kernels write them, and programs that the running kernel really refuses. */
import { expect, test } from 'vitest';
import { Assembler } from '../../../agent/bpf/assembler.js';
import { loadAssembled } from '../../../agent/bpf/load.js';
import { parseVerifierLog, verifierError } from '../../../agent/bpf/verifier-log.js';
import { errnoName } from '../../../agent/linux/errno.js';
import { StillframeError } from '../../../format/error.js';
import { requireFeature } from '../../support/require-feature.js';

const E2BIG = 7;
const EACCES = 13;
const EPERM = 1;
const EINVAL = 22;

const log = `func#0 @0
0: R1=ctx() R10=fp0
0: (bf) r6 = r1                       ; R1=ctx() R6_w=ctx()
1: (79) r7 = *(u64 *)(r6 +112)        ; R6_w=ctx() R7_w=scalar()
2: (79) r1 = *(u64 *)(r7 +0)
R7 invalid mem access 'scalar'
verification time 41 usec
stack depth 0
processed 3 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`;

test('finds the complaint, the instruction and what was known', () => {
  expect(parseVerifierLog(log)).toEqual({
    complaint: "R7 invalid mem access 'scalar'",
    instruction: 2,
    text: 'r1 = *(u64 *)(r7 +0)',
    registers: 'R6_w=ctx() R7_w=scalar()',
    processed: 3,
  });
});

test('an empty log has no verdict', () => {
  expect(parseVerifierLog('')).toEqual({
    complaint: '',
    instruction: undefined,
    text: '',
    registers: '',
    processed: undefined,
  });
});

const map = ['start', 'condition', 'order->customer'];
test.each([
  [
    'a refusal is a bug of ours, with all there is to know',
    { errno: EACCES, log },
    'internal',
    `cannot compile the point: the kernel's verifier says "R7 invalid mem access 'scalar'" at instruction 2 of 3 ("r1 = *(u64 *)(r7 +0)"), for "order->customer", knowing R6_w=ctx() R7_w=scalar()`,
    undefined,
  ],
  [
    'too many steps are a limit that says what to do',
    {
      errno: E2BIG,
      log: '2: (79) r1 = *(u64 *)(r7 +0)\nBPF program is too large. Processed 1000001 insn\nprocessed 1000001 insns (limit 1000000)\n',
    },
    'limit',
    `cannot compile the point: the program is too large for the kernel's verifier: BPF program is too large. Processed 1000001 insn at instruction 2 of 3 ("r1 = *(u64 *)(r7 +0)"), for "order->customer"`,
    'ask for fewer captures, or a shorter condition',
  ],
  [
    'too many instructions, refused before the verifier',
    { errno: E2BIG, log: '' },
    'limit',
    "cannot compile the point: the program is too large for the kernel's verifier: 3 instructions are too many",
    'ask for fewer captures, or a shorter condition',
  ],
  [
    'no privilege names the capabilities',
    { errno: EPERM, log: '' },
    'denied',
    'cannot compile the point: bpf: EPERM',
    'the tracer needs CAP_BPF and CAP_PERFMON (or root)',
  ],
  [
    'anything else is the system call that failed',
    { errno: EINVAL, log: '' },
    'system',
    'cannot compile the point: bpf: EINVAL',
    undefined,
  ],
])('%s', (_name, refusal, code, message, hint) => {
  const error = verifierError('cannot compile the point', refusal, map);
  expect({ code: error.code, message: error.message, hint: error.hint }).toEqual({ code, message, hint });
});

test('a program that the running kernel refuses', (context) => {
  requireFeature(context, 'CAP_BPF', process.getuid?.() === 0 ? undefined : 'not root');
  const program = new Assembler()
    .section('start')
    .mov(6, 1)
    .section('order->customer')
    .loadMemory(8, 7, 6, 112)
    .loadMemory(8, 0, 7, 0)
    .exit()
    .assemble();
  const error = caught(() =>
    loadAssembled('cannot compile the point', program, {
      type: 'BPF_PROG_TYPE_KPROBE',
      attachType: 'BPF_TRACE_UPROBE_MULTI',
      name: 'refused',
      sleepable: true,
    }),
  );
  expect(error.code).toBe('internal');
  expect(errnoName(error.detail.errno ?? 0)).toBe('EACCES');
  expect(error.message).toMatch(
    /^cannot compile the point: the kernel's verifier says "R7 invalid mem access 'scalar'" at instruction 2 of 4 \("r0 = \*\(u64 \*\)\(r7 \+ ?0\)"\), for "order->customer", knowing .*R7(?:_w)?=scalar\(\)/,
  );
});

function caught(action: () => unknown): StillframeError {
  try {
    action();
  } catch (error) {
    if (error instanceof StillframeError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

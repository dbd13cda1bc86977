/**
 * The kernel verifier's log turned into an error that one can act on: which instruction it refused, what it knew of the registers there, and
 * which part of the plan the instruction serves. Pure.
 *
 * The log (kernel/bpf/verifier.c) has a line `12: (85) call ...` for each instruction as it is walked, register states as
 * `; R1=scalar() ...`, the complaint as a line of its own, and then `processed 123 insns ...`.
 */
import { type ErrorCode, StillframeError } from '../../format/error.js';
import { errnoName } from '../linux/errno.js';

export interface VerifierVerdict {
  /** The verifier's own words; empty when the log has none. */
  readonly complaint: string;
  /** Index of the last instruction that was looked at. */
  readonly instruction: number | undefined;
  /** That instruction as the verifier prints it. */
  readonly text: string;
  /** The last register state before it. */
  readonly registers: string;
  /** Instructions that were looked at before giving up, where the log says so. */
  readonly processed: number | undefined;
}

const maxRegistersText = 400;

export function parseVerifierLog(log: string): VerifierVerdict {
  let instruction: number | undefined;
  let text = '';
  let registers = '';
  let complaint = '';
  let processed: number | undefined;
  for (const line of log.split('\n')) {
    const walked = /^(\d+): \([0-9a-f]{2}\) ([^;]*?)\s*(?:;\s*(.*))?$/.exec(line);
    const state = /^(?:from \d+ to )?\d+: (R\d.*)$/.exec(line);
    const end = /^processed (\d+) insns/.exec(line);
    if (walked !== null) {
      instruction = Number(walked[1]);
      text = walked[2] ?? '';
      complaint = '';
      if (walked[3] !== undefined && walked[3] !== '') registers = walked[3];
    } else if (state !== null) {
      registers = state[1] ?? '';
    } else if (end !== null) {
      processed = Number(end[1]);
    } else if (
      line.trim() !== '' &&
      !/^(mark_precise|last_idx|regs=|parent |verification time|stack depth|from )/.test(line)
    ) {
      complaint = line.trim();
    }
  }
  return { complaint, instruction, text, registers: registers.slice(0, maxRegistersText), processed };
}

/**
 * The error for a program that the kernel refused. Too large or too complex is `limit`, and says what to ask less of; no privilege is
 * `denied`; everything else is a bug of the compiler, with all that is needed to find it.
 */
export function verifierError(
  action: string,
  refusal: { readonly errno: number; readonly log: string },
  sourceMap: readonly string[],
): StillframeError {
  const name = errnoName(refusal.errno);
  const verdict = parseVerifierLog(refusal.log);
  const at = verdict.instruction;
  const section = at === undefined ? undefined : sourceMap[at];
  const where =
    at === undefined
      ? ''
      : ` at instruction ${at} of ${sourceMap.length} ("${verdict.text}"), for "${section ?? ''}"`;
  const detail = { errno: refusal.errno, errnoName: name, syscall: 'bpf' };
  if (name === 'E2BIG' || /too large|too complex|too many/.test(verdict.complaint)) {
    const complaint =
      verdict.complaint === '' ? `${sourceMap.length} instructions are too many` : verdict.complaint;
    return new StillframeError(
      'limit',
      `${action}: the program is too large for the kernel's verifier: ${complaint}${where}`,
      {
        detail,
        hint: 'ask for fewer captures, or a shorter condition',
      },
    );
  }
  if (refusal.log === '' && (name === 'EPERM' || name === 'EACCES')) {
    return new StillframeError('denied', `${action}: bpf: ${name}`, {
      detail,
      hint: 'the tracer needs CAP_BPF and CAP_PERFMON (or root)',
    });
  }
  if (/bpf_loop|func unknown#181/.test(`${verdict.complaint} ${verdict.text}`) && name === 'EINVAL') {
    return new StillframeError(
      'unsupported',
      `${action}: this kernel's eBPF has no loops (bpf_loop, Linux 5.17), which lists and arrays of pointers take`,
      { detail },
    );
  }
  const code: ErrorCode = refusal.log === '' ? 'system' : 'internal';
  const complaint =
    verdict.complaint === '' ? `bpf: ${name}` : `the kernel's verifier says "${verdict.complaint}"`;
  const registers = verdict.registers === '' ? '' : `, knowing ${verdict.registers}`;
  return new StillframeError(code, `${action}: ${complaint}${where}${registers}`, { detail });
}

/** Loading of assembled programs: a refusal becomes an error that names the part of the plan it is about. */
import { type BpfObject, loadProgram, type ProgramSpec } from '../linux/bpf.js';
import type { AssembledProgram } from './assembler.js';
import { verifierError } from './verifier-log.js';

/** Loads, or throws as {@link verifierError} says. `action` is like "cannot compile the point". */
export function loadAssembled(
  action: string,
  program: AssembledProgram,
  spec: Omit<ProgramSpec, 'bytes'>,
): BpfObject {
  const loaded = loadProgram({ ...spec, bytes: program.bytes });
  if ('log' in loaded) throw verifierError(action, loaded, program.sourceMap);
  return loaded;
}

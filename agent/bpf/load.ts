/** Loading of assembled programs: a refusal becomes an error that names the part of the plan it is about. */
import { type BpfObject, loadProgram, loadTypes, type ProgramSpec } from '../linux/bpf.js';
import type { AssembledProgram } from './assembler.js';
import { functionTypeId, functionTypes } from './function-types.js';
import { verifierError } from './verifier-log.js';

/** Loads, or throws as {@link verifierError} says. `action` is like "cannot compile the point". */
export function loadAssembled(
  action: string,
  program: AssembledProgram,
  spec: Omit<ProgramSpec, 'bytes' | 'functions'>,
): BpfObject {
  const { bytes } = program;
  using types = program.functions.length === 0 ? undefined : loadTypes(functionTypes());
  const places = [0, ...program.functions].map((instruction) => ({ instruction, typeId: functionTypeId }));
  const loaded = loadProgram({
    ...spec,
    bytes,
    ...(types === undefined ? {} : { functions: { types, places } }),
  });
  if ('log' in loaded) throw verifierError(action, loaded, program.sourceMap);
  return loaded;
}

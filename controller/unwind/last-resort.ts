/**
 * Ways to the caller where there is no call frame information. Known code (a signal return, a PLT entry) is certain. The others are
 * guesses: taken only when a return address stands right after a call instruction in executable memory, and labelled.
 */
import { isAbsent } from '../../format/absent.js';
import type { PrologueState } from './architecture.js';
import { readSaved, withoutSignature, type StepContext } from './frame-step.js';
import { FrameRegisters, type RegisterValue } from './frame-registers.js';
import type { MappedModule, ModuleMap } from './module-map.js';

export interface ResortStep {
  readonly by: 'signal-trampoline' | 'plt' | 'return' | 'prologue' | 'frame-pointer' | 'stack-top';
  readonly cfa: bigint;
  readonly caller: FrameRegisters;
}

export interface ResortInput extends StepContext {
  readonly pc: bigint;
  readonly registers: FrameRegisters;
  readonly modules: ModuleMap;
  readonly module: MappedModule | undefined;
  /** The pc is exact: the innermost frame, or one that a signal interrupted. */
  readonly exact: boolean;
}

export function stepByLastResort(input: ResortInput): ResortStep | undefined {
  return (
    stepBySignalReturn(input) ??
    stepByPlt(input) ??
    stepByReturn(input) ??
    stepByStackTop(input) ??
    stepByPrologue(input)
  );
}

/** At a return instruction the return address is on top of the stack, whatever else is said of the place; what is preserved was restored. */
export function stepByReturn(input: ResortInput): ResortStep | undefined {
  const { architecture, registers } = input;
  if (!input.exact || architecture.isReturn === undefined) return undefined;
  const code = codeAt(input, input.pc, 2) ?? codeAt(input, input.pc, 1);
  const stack = registers.value(architecture.stackPointer);
  if (code === undefined || isAbsent(stack) || !architecture.isReturn(code)) return undefined;
  const returnAddress = readSaved(input.memory, stack);
  if (isAbsent(returnAddress)) return undefined;
  return { by: 'return', cfa: stack + 8n, caller: callerOfTop(input, stack + 8n, returnAddress) };
}

/** Preserved registers as they are, the return address and the stack pointer as told; all others are lost. */
function callerOfTop(input: ResortInput, cfa: bigint, returnAddress: RegisterValue): FrameRegisters {
  const { architecture, registers } = input;
  const values = new Map(
    [...architecture.preserved].map((register) => [register, registers.get(register)] as const),
  );
  values.set(architecture.stackPointer, { value: cfa, provenance: returnAddress.provenance });
  values.set(architecture.programCounter, returnAddress);
  return makeRegisters(input, values);
}

/**
 * Where a function begins is known, and so how far it came in `push %rbp; mov %rsp, %rbp`: before, or where it does no such thing, the return
 * address is taken from the top of the stack if one is there. gdb guesses the same, and without asking for a call before it.
 */
function stepByPrologue(input: ResortInput): ResortStep | undefined {
  const { architecture, module, pc } = input;
  const start = input.exact ? module?.functionStart?.(pc) : module?.functionStart?.(pc - 1n);
  const code = start === undefined ? undefined : codeAt(input, start, architecture.maxPrologueBytes ?? 0);
  if (architecture.prologueState === undefined) return stepByFramePointer(input, true);
  if (start === undefined || code === undefined)
    return (input.exact ? stepFromTop(input, 'none') : undefined) ?? stepByFramePointer(input, true);
  const state = architecture.prologueState(code, Number(pc - start));
  return state === 'framed' ? stepByFramePointer(input, false) : stepFromTop(input, state);
}

function stepFromTop(input: ResortInput, state: Exclude<PrologueState, 'framed'>): ResortStep | undefined {
  const { architecture } = input;
  const stack = input.registers.value(architecture.stackPointer);
  if (isAbsent(stack)) return undefined;
  const cfa = stack + (state === 'pushed' ? 16n : 8n);
  const returnAddress = readSaved(input.memory, cfa - 8n);
  if (isAbsent(returnAddress) || !isAfterCall(input, returnAddress.value)) return undefined;
  const caller = callerOfTop(input, cfa, returnAddress);
  const restored =
    state === 'pushed'
      ? caller.with(new Map([[architecture.framePointer, readSaved(input.memory, stack)]]))
      : caller;
  return { by: 'prologue', cfa, caller: restored };
}

function codeAt(input: ResortInput, address: bigint, length: number): Uint8Array | undefined {
  const read = input.memory.read(BigInt.asUintN(64, address), length);
  return isAbsent(read) ? undefined : read.bytes;
}

/** Whether the code of a signal return stands at the pc. */
export function isSignalReturn(pc: bigint, { architecture, memory }: StepContext): boolean {
  const { code } = architecture.signalReturn;
  const found = memory.read(pc, code.length);
  return !isAbsent(found) && code.every((byte, i) => byte === found.bytes[i]);
}

/** musl and others have no call frame information for the code that a signal handler returns to. */
function stepBySignalReturn(input: ResortInput): ResortStep | undefined {
  const { architecture, registers, memory } = input;
  const { savedAt } = architecture.signalReturn;
  const stack = registers.value(architecture.stackPointer);
  if (isAbsent(stack) || !isSignalReturn(input.pc, input)) return undefined;
  const values = new Map(
    [...savedAt].map(([register, offset]) => [register, readSaved(memory, stack + offset)] as const),
  );
  return { by: 'signal-trampoline', cfa: stack, caller: makeRegisters(input, values) };
}

function stepByPlt(input: ResortInput): ResortStep | undefined {
  const { architecture, module } = input;
  if (!input.exact || module === undefined || isAbsent(module.elf)) return undefined;
  const link = input.pc - module.bias;
  const section = module.elf.sections.find(
    (each) => each.address !== 0n && link >= each.address && link < each.address + BigInt(each.size),
  );
  if (section === undefined || !/^\.i?plt(\.|$)/.test(section.name)) return undefined;
  const code = codeAt(input, input.pc, architecture.maxPltBytes);
  const offset =
    code === undefined ? undefined : architecture.pltCfaOffset(code, Number(link - section.address));
  return offset === undefined ? undefined : stepToReturnAddress(input, 'plt', offset);
}

/** A jump or call to where no code is (a null function pointer): the return address is what the call pushed. */
function stepByStackTop(input: ResortInput): ResortStep | undefined {
  if (!input.exact || input.module !== undefined || input.modules.isExecutable(input.pc)) return undefined;
  return stepToReturnAddress(input, 'stack-top', input.architecture.entryCfaOffset);
}

/** Right after a call, or in the jump of a PLT entry, nothing was changed yet but the stack: all registers are the caller's. */
function stepToReturnAddress(
  input: ResortInput,
  by: ResortStep['by'],
  cfaOffset: bigint,
): ResortStep | undefined {
  const { architecture, registers } = input;
  const stack = registers.value(architecture.stackPointer);
  if (isAbsent(stack)) return undefined;
  const cfa = stack + cfaOffset;
  const inRegister = cfaOffset === 0n && architecture.linkRegister !== undefined;
  const returnAddress = inRegister
    ? registers.get(architecture.linkRegister)
    : readSaved(input.memory, cfa - 8n);
  if (isAbsent(returnAddress) || !isAfterCall(input, returnAddress.value)) return undefined;
  const caller = registers.with(
    new Map([
      [architecture.stackPointer, { value: cfa, provenance: returnAddress.provenance }],
      [architecture.programCounter, returnAddress],
    ]),
  );
  return { by, cfa, caller };
}

/**
 * Saved frame pointer and return address side by side in every frame make a chain; plausible when it leads up the stack to a call.
 * `isChain`: nothing is known of this function, so that only a chain speaks for it.
 */
function stepByFramePointer(input: ResortInput, isChain: boolean): ResortStep | undefined {
  const { architecture, registers, memory } = input;
  const frame = registers.value(architecture.framePointer);
  const stack = registers.value(architecture.stackPointer);
  if (isAbsent(frame) || isAbsent(stack) || frame < stack || frame % 8n !== 0n) return undefined;
  if (frame - stack > BigInt(input.limits.maxStackBytes)) return undefined;
  const saved = readSaved(memory, frame);
  const returnAddress = withoutSignature(readSaved(memory, frame + 8n), input);
  if (isAbsent(saved) || isAbsent(returnAddress) || !isAfterCall(input, returnAddress.value))
    return undefined;
  // A caller that keeps no frame pointer leaves there whatever it likes.
  if (isChain && saved.value !== 0n && saved.value <= frame) return undefined;
  const values = new Map<number, RegisterValue>([
    [architecture.framePointer, saved],
    [architecture.programCounter, returnAddress],
  ]);
  const record = architecture.frameRecordBytes;
  if (record !== undefined)
    values.set(architecture.stackPointer, { value: frame + record, provenance: saved.provenance });
  return { by: 'frame-pointer', cfa: frame + 16n, caller: makeRegisters(input, values) };
}

function isAfterCall(input: ResortInput, returnAddress: bigint): boolean {
  return input.modules.isExecutable(returnAddress) && followsCall(returnAddress, input);
}

/** Whether a call instruction ends at an address. */
export function followsCall(address: bigint, { architecture, memory }: StepContext): boolean {
  const length = architecture.maxCallBytes;
  const code = memory.read(BigInt.asUintN(64, address - BigInt(length)), length);
  return !isAbsent(code) && architecture.endsWithCall(code.bytes);
}

function makeRegisters(
  input: ResortInput,
  values: ConstructorParameters<typeof FrameRegisters>[0]['values'],
): FrameRegisters {
  return new FrameRegisters({
    values,
    nameOf: (number) => input.architecture.nameOf(number),
    otherwise: 'is not known: the function that was called has no call frame information',
  });
}

/** Call frame instructions (DWARF5 6.4.2, with GNU's additions): run up to an address, they leave the row that covers it. */
import { ByteCursor } from '../../format/bytes.js';
import { EM } from '../../format/elf/constants.js';
import { defaultLimits } from '../../format/limits.js';
import type { CallFrameRow, RegisterRule } from './call-frame.js';
import { readEncodedPointer } from './call-frame-pointer.js';
import type { CommonEntry, FrameEntry, FrameSection } from './call-frame-entry.js';

const DW_CFA_advance_loc = 0x40;
const DW_CFA_offset = 0x80;
const DW_CFA_restore = 0xc0;
const DW_CFA = {
  nop: 0x00,
  set_loc: 0x01,
  advance_loc1: 0x02,
  advance_loc2: 0x03,
  advance_loc4: 0x04,
  offset_extended: 0x05,
  restore_extended: 0x06,
  undefined: 0x07,
  same_value: 0x08,
  register: 0x09,
  remember_state: 0x0a,
  restore_state: 0x0b,
  def_cfa: 0x0c,
  def_cfa_register: 0x0d,
  def_cfa_offset: 0x0e,
  def_cfa_expression: 0x0f,
  expression: 0x10,
  offset_extended_sf: 0x11,
  def_cfa_sf: 0x12,
  def_cfa_offset_sf: 0x13,
  val_offset: 0x14,
  val_offset_sf: 0x15,
  val_expression: 0x16,
  MIPS_advance_loc8: 0x1d,
  AARCH64_negate_ra_state_with_pc: 0x2c,
  AARCH64_negate_ra_state: 0x2d,
  GNU_args_size: 0x2e,
  GNU_negative_offset_extended: 0x2f,
} as const;

/** Registers with a rule in one row: no machine has more, and hostile bytes must not make rows that are slow to copy. */
const maxRules = 512;

type CfaRule = CallFrameRow['cfa'];

interface State {
  cfa: CfaRule | undefined;
  rules: Map<number, RegisterRule>;
  returnAddressSigned: boolean;
}

/** The row of an FDE at an address that it covers; throws `bad-data`. */
export function runCallFrameProgram(section: FrameSection, entry: FrameEntry, address: bigint): CallFrameRow {
  const { cie } = entry;
  const machine = new Machine(section, cie, entry.start, address);
  machine.run(cie.instructions, cie.instructionsAt, undefined);
  const initial = new Map(machine.state.rules);
  machine.run(entry.instructions, entry.instructionsAt, initial);
  const { cfa, rules, returnAddressSigned } = machine.state;
  if (cfa === undefined) {
    const cursor = new ByteCursor(section.bytes, section.name, 0);
    throw cursor.error('call frame program that never defines the CFA', entry.offset);
  }
  return {
    cfa,
    rules,
    returnAddressRegister: cie.returnAddressRegister,
    signalFrame: cie.signalFrame,
    returnAddressSigned,
  };
}

class Machine {
  state: State = { cfa: undefined, rules: new Map(), returnAddressSigned: false };
  readonly #section: FrameSection;
  readonly #cie: CommonEntry;
  readonly #target: bigint;
  readonly #remembered: State[] = [];
  #location: bigint;

  constructor(section: FrameSection, cie: CommonEntry, start: bigint, target: bigint) {
    this.#section = section;
    this.#cie = cie;
    this.#location = start;
    this.#target = target;
  }

  /** Runs until the location passes the target. `initial` are the rules that DW_CFA_restore goes back to. */
  run(instructions: Uint8Array, at: number, initial: ReadonlyMap<number, RegisterRule> | undefined): void {
    const cursor = new ByteCursor(this.#section.bytes, this.#section.name, at, at + instructions.length);
    while (!cursor.atEnd && this.#location <= this.#target) this.#step(cursor, initial);
  }

  #step(cursor: ByteCursor, initial: ReadonlyMap<number, RegisterRule> | undefined): void {
    const at = cursor.offset;
    const opcode = cursor.u8();
    const low = opcode & 0x3f;
    switch (opcode & 0xc0) {
      case DW_CFA_advance_loc:
        this.#advance(BigInt(low));
        return;
      case DW_CFA_offset:
        this.#set(cursor, low, { kind: 'offset', offset: this.#factored(cursor.uleb()) });
        return;
      case DW_CFA_restore:
        this.#restore(cursor, low, initial);
        return;
      default:
        this.#extended(cursor, opcode, at, initial);
    }
  }

  #extended(
    cursor: ByteCursor,
    opcode: number,
    at: number,
    initial: ReadonlyMap<number, RegisterRule> | undefined,
  ): void {
    switch (opcode) {
      case DW_CFA.nop:
        return;
      case DW_CFA.set_loc:
        this.#location = this.#readLocation(cursor);
        return;
      case DW_CFA.advance_loc1:
        this.#advance(BigInt(cursor.u8()));
        return;
      case DW_CFA.advance_loc2:
        this.#advance(BigInt(cursor.u16()));
        return;
      case DW_CFA.advance_loc4:
        this.#advance(BigInt(cursor.u32()));
        return;
      case DW_CFA.MIPS_advance_loc8:
        this.#advance(cursor.u64());
        return;
      case DW_CFA.remember_state:
        if (this.#remembered.length >= defaultLimits.maxNesting)
          throw cursor.error('DW_CFA_remember_state nested too deep', at);
        this.#remembered.push({ ...this.state, rules: new Map(this.state.rules) });
        return;
      case DW_CFA.restore_state: {
        const state = this.#remembered.pop();
        if (state === undefined) throw cursor.error('DW_CFA_restore_state without a remembered state', at);
        this.state = state;
        return;
      }
      case DW_CFA.restore_extended:
        this.#restore(cursor, cursor.ulebNumber(), initial);
        return;
      case DW_CFA.GNU_args_size:
        cursor.uleb();
        return;
      default:
        if (this.#signReturnAddress(opcode)) return;
        if (!this.#defineCfa(cursor, opcode, at) && !this.#defineRule(cursor, opcode))
          throw cursor.error(`unknown call frame instruction 0x${opcode.toString(16)}`, at);
    }
  }

  /** AADWARF64 5.1: these numbers mean other things on other machines. */
  #signReturnAddress(opcode: number): boolean {
    if (this.#section.machine !== EM.EM_AARCH64) return false;
    if (opcode !== DW_CFA.AARCH64_negate_ra_state && opcode !== DW_CFA.AARCH64_negate_ra_state_with_pc)
      return false;
    this.state.returnAddressSigned = !this.state.returnAddressSigned;
    return true;
  }

  #defineCfa(cursor: ByteCursor, opcode: number, at: number): boolean {
    switch (opcode) {
      case DW_CFA.def_cfa:
        this.state.cfa = { kind: 'register', register: cursor.ulebNumber(), offset: cursor.uleb() };
        return true;
      case DW_CFA.def_cfa_sf:
        this.state.cfa = {
          kind: 'register',
          register: cursor.ulebNumber(),
          offset: this.#factored(cursor.sleb()),
        };
        return true;
      case DW_CFA.def_cfa_register:
        this.state.cfa = {
          kind: 'register',
          register: cursor.ulebNumber(),
          offset: this.#registerCfa(cursor, at).offset,
        };
        return true;
      case DW_CFA.def_cfa_offset:
        this.state.cfa = {
          kind: 'register',
          register: this.#registerCfa(cursor, at).register,
          offset: cursor.uleb(),
        };
        return true;
      case DW_CFA.def_cfa_offset_sf:
        this.state.cfa = {
          kind: 'register',
          register: this.#registerCfa(cursor, at).register,
          offset: this.#factored(cursor.sleb()),
        };
        return true;
      case DW_CFA.def_cfa_expression:
        this.state.cfa = { kind: 'expression', expression: cursor.take(cursor.ulebNumber()) };
        return true;
      default:
        return false;
    }
  }

  #defineRule(cursor: ByteCursor, opcode: number): boolean {
    const set = (rule: (register: number) => RegisterRule): true => {
      const register = cursor.ulebNumber();
      this.#set(cursor, register, rule(register));
      return true;
    };
    switch (opcode) {
      case DW_CFA.undefined:
        return set(() => ({ kind: 'undefined' }));
      case DW_CFA.same_value:
        return set(() => ({ kind: 'same-value' }));
      case DW_CFA.offset_extended:
        return set(() => ({ kind: 'offset', offset: this.#factored(cursor.uleb()) }));
      case DW_CFA.offset_extended_sf:
        return set(() => ({ kind: 'offset', offset: this.#factored(cursor.sleb()) }));
      case DW_CFA.GNU_negative_offset_extended:
        return set(() => ({ kind: 'offset', offset: -this.#factored(cursor.uleb()) }));
      case DW_CFA.val_offset:
        return set(() => ({ kind: 'value-offset', offset: this.#factored(cursor.uleb()) }));
      case DW_CFA.val_offset_sf:
        return set(() => ({ kind: 'value-offset', offset: this.#factored(cursor.sleb()) }));
      case DW_CFA.register:
        return set(() => ({ kind: 'register', register: cursor.ulebNumber() }));
      case DW_CFA.expression:
        return set(() => ({ kind: 'expression', expression: cursor.take(cursor.ulebNumber()) }));
      case DW_CFA.val_expression:
        return set(() => ({ kind: 'value-expression', expression: cursor.take(cursor.ulebNumber()) }));
      default:
        return false;
    }
  }

  /** `def_cfa_register` and `def_cfa_offset` change one half of a rule that must be there. */
  #registerCfa(cursor: ByteCursor, at: number): Extract<CfaRule, { kind: 'register' }> {
    const { cfa } = this.state;
    if (cfa?.kind !== 'register') throw cursor.error('change of a CFA that is not register and offset', at);
    return cfa;
  }

  #set(cursor: ByteCursor, register: number, rule: RegisterRule): void {
    this.state.rules.set(register, rule);
    if (this.state.rules.size > maxRules) throw cursor.error(`rules for more than ${maxRules} registers`);
  }

  #restore(
    cursor: ByteCursor,
    register: number,
    initial: ReadonlyMap<number, RegisterRule> | undefined,
  ): void {
    if (initial === undefined) throw cursor.error('DW_CFA_restore in initial instructions');
    const rule = initial.get(register);
    if (rule === undefined) this.state.rules.delete(register);
    else this.state.rules.set(register, rule);
  }

  #factored(offset: bigint): bigint {
    return BigInt.asIntN(64, offset * this.#cie.dataAlignment);
  }

  #advance(delta: bigint): void {
    this.#location += delta * this.#cie.codeAlignment;
  }

  #readLocation(cursor: ByteCursor): bigint {
    if (this.#section.kind === 'debug_frame') {
      cursor.skip(this.#cie.segmentSelectorSize);
      return cursor.uint(this.#cie.addressSize);
    }
    const location = readEncodedPointer(cursor, this.#cie.fdeEncoding, this.#section.bases);
    if (location === undefined) throw cursor.error('DW_CFA_set_loc without an address');
    return location;
  }
}

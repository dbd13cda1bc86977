import { type Absent, absent, isAbsent } from '../absent.js';
import { ByteWriter } from '../bytes.js';
import type { BaseType, ExpressionContext, ExpressionLimits } from './context.js';
import { type Operation, decodeExpression } from './decode.js';
import { ExpressionFault, malformed } from './fault.js';
import { DW_OP, operationName } from './opcodes.js';
import {
  type BinaryOperator,
  type Comparison,
  type StackValue,
  binary,
  compare,
  convert,
  divisionByZero,
  fromBytes,
  isTyped,
  maxTypedBytes,
  reinterpret,
  shift,
  toInteger,
  unary,
} from './typed-value.js';

const binaryOperators: ReadonlyMap<number, BinaryOperator> = new Map([
  [DW_OP.DW_OP_and, 'and'],
  [DW_OP.DW_OP_or, 'or'],
  [DW_OP.DW_OP_xor, 'xor'],
  [DW_OP.DW_OP_plus, 'plus'],
  [DW_OP.DW_OP_minus, 'minus'],
  [DW_OP.DW_OP_mul, 'mul'],
  [DW_OP.DW_OP_div, 'div'],
  [DW_OP.DW_OP_mod, 'mod'],
]);

const comparisons: ReadonlyMap<number, Comparison> = new Map([
  [DW_OP.DW_OP_eq, 'eq'],
  [DW_OP.DW_OP_ne, 'ne'],
  [DW_OP.DW_OP_lt, 'lt'],
  [DW_OP.DW_OP_le, 'le'],
  [DW_OP.DW_OP_gt, 'gt'],
  [DW_OP.DW_OP_ge, 'ge'],
]);

/** The stack and its operations. Throws {@link ExpressionFault} where it cannot go on. */
export class Machine {
  #context: ExpressionContext;
  readonly #limits: ExpressionLimits;
  readonly #stack: StackValue[];
  #steps = 0;
  #nesting = 0;

  constructor(context: ExpressionContext, limits: ExpressionLimits) {
    this.#context = context;
    this.#limits = limits;
    this.#stack = (context.initialStack ?? []).map((value) => BigInt.asUintN(64, value));
  }

  push(value: StackValue): void {
    if (this.#stack.length >= this.#limits.maxExpressionStack) {
      throw limitFault(`more than ${this.#limits.maxExpressionStack} entries on its stack`);
    }
    this.#stack.push(value);
  }

  pop(): StackValue {
    const value = this.#stack.pop();
    if (value === undefined) throw malformed('its stack is empty');
    return value;
  }

  clear(): void {
    this.#stack.length = 0;
  }

  /** Runs the operations from index `from` until index `to` is reached. */
  run(operations: readonly Operation[], from: number, to: number): void {
    let index = from;
    while (index < to) {
      const operation = operations[index];
      if (operation === undefined) break;
      this.#steps++;
      if (this.#steps > this.#limits.maxExpressionSteps) {
        throw limitFault(`more than ${this.#limits.maxExpressionSteps} steps`);
      }
      index = this.#jumps(operation) ? operation.target : index + 1;
    }
    if (index > to) throw malformed('a jump over its end');
  }

  /** Executes one operation; true when it jumps. */
  #jumps(operation: Operation): boolean {
    const { code } = operation;
    if (code === DW_OP.DW_OP_skip) return true;
    if (code === DW_OP.DW_OP_bra) return this.#integer() !== 0n;
    this.#execute(operation);
    return false;
  }

  #execute(operation: Operation): void {
    const { code, a, b } = operation;
    const context = this.#context;
    if (!operation.known) throw unsupported(`0x${code.toString(16)}`);
    if (code >= DW_OP.DW_OP_lit0 && code <= DW_OP.DW_OP_lit31)
      return this.push(BigInt(code - DW_OP.DW_OP_lit0));
    if (code >= DW_OP.DW_OP_breg0 && code <= DW_OP.DW_OP_breg31) {
      return this.#generic(had(context.register(code - DW_OP.DW_OP_breg0)) + a);
    }
    if (code >= DW_OP.DW_OP_reg0 && code <= DW_OP.DW_OP_reg31) throw misplaced(code);
    const operator = binaryOperators.get(code);
    if (operator !== undefined) return this.#binary(operator);
    const comparison = comparisons.get(code);
    if (comparison !== undefined) return this.#compare(comparison);

    switch (code) {
      case DW_OP.DW_OP_addr:
        return this.#generic(context.relocate(a));
      case DW_OP.DW_OP_const1u:
      case DW_OP.DW_OP_const1s:
      case DW_OP.DW_OP_const2u:
      case DW_OP.DW_OP_const2s:
      case DW_OP.DW_OP_const4u:
      case DW_OP.DW_OP_const4s:
      case DW_OP.DW_OP_const8u:
      case DW_OP.DW_OP_const8s:
      case DW_OP.DW_OP_constu:
      case DW_OP.DW_OP_consts:
        return this.#generic(a);
      case DW_OP.DW_OP_addrx:
      case DW_OP.DW_OP_GNU_addr_index:
        return this.#generic(context.relocate(this.#addressByIndex(operation)));
      case DW_OP.DW_OP_constx:
      case DW_OP.DW_OP_GNU_const_index:
        return this.#generic(this.#addressByIndex(operation));
      case DW_OP.DW_OP_bregx:
        return this.#generic(had(context.register(Number(a))) + b);
      case DW_OP.DW_OP_fbreg:
        return this.#generic(had(asked(code, context.frameBase?.())) + a);
      case DW_OP.DW_OP_call_frame_cfa:
        return this.#generic(had(asked(code, context.callFrameCfa?.())));
      case DW_OP.DW_OP_push_object_address:
        return this.#generic(asked(code, context.objectAddress));
      case DW_OP.DW_OP_entry_value:
      case DW_OP.DW_OP_GNU_entry_value:
        return this.#entryValue(operation);
      case DW_OP.DW_OP_form_tls_address:
      case DW_OP.DW_OP_GNU_push_tls_address:
        return this.#generic(had(asked(code, context.tls?.(this.#integer()))));
      case DW_OP.DW_OP_GNU_variable_value:
        return this.#generic(had(asked(code, context.variableValue?.(Number(a)))));
      case DW_OP.DW_OP_GNU_parameter_ref:
        return this.#pushPassed(asked(code, context.parameterValue?.(Number(a))));
      case DW_OP.DW_OP_call2:
      case DW_OP.DW_OP_call4:
      case DW_OP.DW_OP_call_ref:
        return this.#call(operation);
      case DW_OP.DW_OP_nop:
      case DW_OP.DW_OP_GNU_uninit:
        return undefined;
      case DW_OP.DW_OP_stack_value:
      case DW_OP.DW_OP_implicit_value:
      case DW_OP.DW_OP_implicit_pointer:
      case DW_OP.DW_OP_GNU_implicit_pointer:
      case DW_OP.DW_OP_regx:
      case DW_OP.DW_OP_piece:
      case DW_OP.DW_OP_bit_piece:
        throw misplaced(code);
      default:
        return this.#executeOnStack(operation);
    }
  }

  #executeOnStack(operation: Operation): void {
    const { code, a, b } = operation;
    switch (code) {
      case DW_OP.DW_OP_dup:
        return this.push(this.#peek(0));
      case DW_OP.DW_OP_drop:
        this.pop();
        return undefined;
      case DW_OP.DW_OP_over:
        return this.push(this.#peek(1));
      case DW_OP.DW_OP_pick:
        return this.push(this.#peek(Number(a)));
      case DW_OP.DW_OP_swap: {
        const top = this.pop();
        const second = this.pop();
        this.push(top);
        return this.push(second);
      }
      case DW_OP.DW_OP_rot: {
        const top = this.pop();
        const second = this.pop();
        const third = this.pop();
        this.push(top);
        this.push(third);
        return this.push(second);
      }
      case DW_OP.DW_OP_abs:
        return this.push(done(unary('abs', this.pop())));
      case DW_OP.DW_OP_neg:
        return this.push(done(unary('neg', this.pop())));
      case DW_OP.DW_OP_not:
        return this.push(done(unary('not', this.pop())));
      case DW_OP.DW_OP_plus_uconst:
        return this.#plusConstant(a);
      case DW_OP.DW_OP_shl:
        return this.#shift('shl');
      case DW_OP.DW_OP_shr:
        return this.#shift('shr');
      case DW_OP.DW_OP_shra:
        return this.#shift('shra');
      case DW_OP.DW_OP_deref:
        return this.#generic(this.#dereference(8));
      case DW_OP.DW_OP_deref_size:
        if (a < 1n || a > 8n) throw malformed(`DW_OP_deref_size ${a}`);
        return this.#generic(this.#dereference(Number(a)));
      case DW_OP.DW_OP_deref_type:
      case DW_OP.DW_OP_GNU_deref_type: {
        const type = this.#baseType(code, b);
        // DWARF5 2.5.1.3 wants the two sizes to be the same; what is read short is extended with zeros, as gdb does.
        if (a < 1n || a > BigInt(type.byteSize))
          throw malformed(`${operationName(code) ?? ''} of ${a} bytes`);
        return this.push({ type, bits: this.#dereference(Number(a)) });
      }
      case DW_OP.DW_OP_const_type:
      case DW_OP.DW_OP_GNU_const_type: {
        const type = this.#baseType(code, a);
        if (type.byteSize !== operation.block.length) {
          throw malformed(`${operationName(code) ?? ''} of ${operation.block.length} bytes`);
        }
        return this.push(fromBytes(type, operation.block));
      }
      case DW_OP.DW_OP_regval_type:
      case DW_OP.DW_OP_GNU_regval_type:
        return this.push(this.#registerValue(Number(a), this.#baseType(code, b)));
      case DW_OP.DW_OP_convert:
      case DW_OP.DW_OP_GNU_convert:
        return this.push(done(convert(this.pop(), this.#typeOrGeneric(code, a))));
      case DW_OP.DW_OP_reinterpret:
      case DW_OP.DW_OP_GNU_reinterpret:
        return this.push(done(reinterpret(this.pop(), this.#typeOrGeneric(code, a))));
      default:
        throw unsupported(operationName(code) ?? `0x${code.toString(16)}`);
    }
  }

  #generic(value: bigint): void {
    this.push(BigInt.asUintN(64, value));
  }

  #peek(depth: number): StackValue {
    const value = this.#stack[this.#stack.length - 1 - depth];
    if (value === undefined) throw malformed('its stack is empty');
    return value;
  }

  #integer(): bigint {
    const value = toInteger(this.pop());
    if (value === undefined) throw malformed('a floating value where an integer is needed');
    return value;
  }

  #binary(operator: BinaryOperator): void {
    const right = this.pop();
    const left = this.pop();
    this.push(done(binary(operator, left, right)));
  }

  #compare(comparison: Comparison): void {
    const right = this.pop();
    const left = this.pop();
    const result = compare(comparison, left, right);
    if (typeof result === 'string') throw malformed(result);
    this.push(result ? 1n : 0n);
  }

  #shift(operator: 'shl' | 'shr' | 'shra'): void {
    const count = this.pop();
    const value = this.pop();
    this.push(done(shift(operator, value, count)));
  }

  /** The constant has the type of the entry (DWARF5 2.5.1.4). */
  #plusConstant(constant: bigint): void {
    const top = this.pop();
    const operand = isTyped(top) ? done(convert(constant, top.type)) : constant;
    this.push(done(binary('plus', top, operand)));
  }

  #dereference(size: number): bigint {
    const address = BigInt.asUintN(64, this.#integer());
    const read = this.#context.memory.read(address, size);
    if (isAbsent(read)) throw new ExpressionFault(read);
    let value = 0n;
    for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(read.bytes[i] ?? 0);
    return value;
  }

  #registerValue(register: number, type: BaseType): StackValue {
    if (type.byteSize > 8 || this.#context.registerBytes !== undefined) {
      const bytes = this.#context.registerBytes?.(register);
      if (bytes !== undefined && isAbsent(bytes)) throw new ExpressionFault(bytes);
      if (bytes !== undefined && bytes.length >= type.byteSize) return fromBytes(type, bytes);
      if (type.byteSize > 8) throw unsupported(`DW_OP_regval_type of ${type.byteSize} bytes`);
    }
    const value = had(this.#context.register(register));
    return { type, bits: BigInt.asUintN(type.byteSize * 8, value) };
  }

  /**
   * Of DW_OP_regval_type the register is what the call site speaks of, and the type is what its value has. `DW_OP_bregN 0;
   * DW_OP_deref` is what the register pointed to.
   */
  #entryValue({ code, block }: Operation): void {
    const inner = decodeExpression(block, {
      addressSize: 8,
      offsetSize: this.#context.offsetSize ?? 4,
      name: 'DWARF expression of an entry value',
    });
    const data = entryData(inner);
    if (data !== undefined) {
      return this.#pushPassed(asked(code, this.#context.entryDataValue?.(data.register, data.size)));
    }
    const [operation, ...more] = inner;
    const isTypedRegister =
      more.length === 0 &&
      (operation?.code === DW_OP.DW_OP_regval_type || operation?.code === DW_OP.DW_OP_GNU_regval_type);
    if (operation === undefined || !isTypedRegister) return this.#pushEntry(code, block, undefined);
    const type = this.#baseType(operation.code, operation.b);
    return this.#pushEntry(code, registerExpression(operation.a), type);
  }

  #pushEntry(code: number, expression: Uint8Array, type: BaseType | undefined): void {
    const value = asked(code, this.#context.entryValue?.(expression));
    if (type === undefined || typeof value !== 'bigint') return this.#pushPassed(value);
    return this.push({ type, bits: BigInt.asUintN(type.byteSize * 8, value) });
  }

  #pushPassed(value: StackValue | Absent): void {
    if (isAbsent(value)) throw new ExpressionFault(value);
    this.push(value);
  }

  #addressByIndex(operation: Operation): bigint {
    return had(asked(operation.code, this.#context.addressByIndex?.(Number(operation.a))));
  }

  #baseType(code: number, die: bigint): BaseType {
    if (this.#context.baseType === undefined) throw unsupported(operationName(code) ?? '');
    const type = this.#context.baseType(Number(die));
    if (type === undefined) throw malformed(`no base type at DIE 0x${die.toString(16)} of its unit`);
    if (type.byteSize < 1 || type.byteSize > maxTypedBytes) {
      throw malformed(`a base type of ${type.byteSize} bytes`);
    }
    return type;
  }

  #typeOrGeneric(code: number, die: bigint): BaseType | undefined {
    return die === 0n ? undefined : this.#baseType(code, die);
  }

  #call(operation: Operation): void {
    if (this.#context.callExpression === undefined) throw unsupported(operationName(operation.code) ?? '');
    if (this.#nesting >= this.#limits.maxExpressionNesting) {
      throw limitFault(`calls nested deeper than ${this.#limits.maxExpressionNesting}`);
    }
    const from = operation.code === DW_OP.DW_OP_call_ref ? 'section' : 'unit';
    const found = this.#context.callExpression(Number(operation.a), from);
    if (found === undefined) return;
    if (isAbsent(found)) throw new ExpressionFault(found);
    const caller = this.#context;
    // What the called expression counts from is its own unit's; the frame is the same.
    if (found.unit !== undefined) this.#context = { ...caller, ...found.unit };
    const called = decodeExpression(found.expression, {
      addressSize: 8,
      offsetSize: this.#context.offsetSize ?? 4,
      name: 'DWARF expression that is called',
    });
    this.#nesting++;
    this.run(called, 0, called.length);
    this.#nesting--;
    this.#context = caller;
  }
}

/** `DW_OP_bregN 0; DW_OP_deref` or `DW_OP_deref_size n`, with DW_OP_bregx too. */
function entryData(operations: readonly Operation[]): { register: number; size: number } | undefined {
  const [base, deref, ...more] = operations;
  if (base === undefined || deref === undefined || more.length > 0) return undefined;
  const size =
    deref.code === DW_OP.DW_OP_deref
      ? 8
      : deref.code === DW_OP.DW_OP_deref_size
        ? Number(deref.a)
        : undefined;
  if (size === undefined) return undefined;
  if (base.code === DW_OP.DW_OP_bregx) return base.b === 0n ? { register: Number(base.a), size } : undefined;
  const register = base.code - DW_OP.DW_OP_breg0;
  return register >= 0 && register < 32 && base.a === 0n ? { register, size } : undefined;
}

/** DW_OP_reg0 to reg31, or DW_OP_regx. */
function registerExpression(register: bigint): Uint8Array {
  const out = new ByteWriter();
  return register < 32n
    ? out.u8(DW_OP.DW_OP_reg0 + Number(register)).finish()
    : out.u8(DW_OP.DW_OP_regx).uleb(register).finish();
}

/** What the context has; it throws when the context has no such thing at all. */
function asked<T>(code: number, answer: T | undefined): T {
  if (answer === undefined) throw unsupported(`${operationName(code) ?? ''} in this place`);
  return answer;
}

function had(answer: bigint | Absent): bigint {
  if (typeof answer === 'bigint') return answer;
  throw new ExpressionFault(answer);
}

function done(result: StackValue | string): StackValue {
  if (typeof result !== 'string') return result;
  if (result === divisionByZero) throw new ExpressionFault(absent('unreadable', divisionByZero));
  throw malformed(result);
}

function misplaced(code: number): ExpressionFault {
  return malformed(`${operationName(code) ?? ''} is not at the end of a location`);
}

function unsupported(what: string): ExpressionFault {
  return new ExpressionFault(absent('unsupported', `the DWARF operation ${what} is not supported`));
}

function limitFault(what: string): ExpressionFault {
  return new ExpressionFault(absent('limit', `a DWARF expression with ${what}`));
}

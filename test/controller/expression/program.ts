/** A program made of literal types: variables with addresses or registers, memory with holes. No process, no debug information. */
import { absent, isAbsent, type Absent } from '../../../format/absent.js';
import { linkAddress } from '../../../format/address.js';
import { evaluateValue } from '../../../format/dwarf-op/evaluate.js';
import type { ExpressionContext } from '../../../format/dwarf-op/context.js';
import { defaultLimits } from '../../../format/limits.js';
import type { MemoryReader } from '../../../format/memory.js';
import type { EvaluationFrame, FunctionName, NameScope } from '../../../controller/expression/scope.js';
import type { LoweringContext } from '../../../controller/expression/lower.js';
import type { PlanLocation } from '../../../controller/expression/lower-location.js';
import { OpWriter } from '../../../controller/expression/op-writer.js';
import type { VariableSymbol } from '../../../controller/symbols/module-symbols.js';
import { sizeOf } from '../../../controller/types/layout.js';
import type { Type } from '../../../controller/types/type.js';

/** What the program is moved by when it runs. */
export const bias = 0x5000_0000_0000n;

type Where =
  | { readonly kind: 'memory'; readonly address: bigint }
  | { readonly kind: 'global'; readonly link: bigint }
  | { readonly kind: 'register'; readonly register: number }
  | { readonly kind: 'value'; readonly bytes: Uint8Array }
  | { readonly kind: 'absent'; readonly absent: Absent };

export class Program implements NameScope {
  readonly #variables = new Map<string, { readonly symbol: VariableSymbol; readonly where: Where }>();
  readonly #types = new Map<string, Type>();
  readonly #enumerators = new Map<string, { readonly type: Type; readonly value: bigint }>();
  readonly #functions = new Map<string, FunctionName>();
  readonly #bytes = new Map<bigint, number>();
  readonly registers: (bigint | undefined)[] = [];

  variable(name: string, type: Type, where: Where): this {
    const symbol: VariableSymbol = {
      name,
      parameter: false,
      type: () => type,
      shadowed: false,
      locationAt: () => absent('optimized-out', 'not used here'),
      availableRanges: () => undefined,
    };
    this.#variables.set(name, { symbol, where });
    return this;
  }

  type(name: string, type: Type): this {
    this.#types.set(name, type);
    if (type.kind === 'enum') {
      for (const { name: each, value } of type.enumerators()) this.#enumerators.set(each, { type, value });
    }
    return this;
  }

  function(name: string, link: bigint, type?: Type): this {
    this.#functions.set(name, { address: linkAddress(link), ...(type === undefined ? {} : { type }) });
    return this;
  }

  write(address: bigint, bytes: Iterable<number>): this {
    let at = address;
    for (const byte of bytes) this.#bytes.set(at++, byte);
    return this;
  }

  integer(address: bigint, value: bigint | number, size: number): this {
    let rest = BigInt.asUintN(size * 8, BigInt(value));
    for (let i = 0n; i < BigInt(size); i++, rest >>= 8n) this.#bytes.set(address + i, Number(rest & 0xffn));
    return this;
  }

  /** Makes every page that holds something whole, as memory is. */
  fillPages(): this {
    const pages = new Set([...this.#bytes.keys()].map((address) => address - (address % 4096n)));
    for (const page of pages) {
      for (let at = page; at < page + 4096n; at++) if (!this.#bytes.has(at)) this.#bytes.set(at, 0);
    }
    return this;
  }

  text(address: bigint, text: string): this {
    return this.write(address, [...new TextEncoder().encode(text), 0]);
  }

  findVariable(name: string, file?: string): VariableSymbol | undefined {
    return this.#variables.get(file === undefined ? name : `'${file}'::${name}`)?.symbol;
  }
  findGlobal(name: string, file?: string): VariableSymbol | undefined {
    const found = this.#variables.get(file === undefined ? name : `'${file}'::${name}`);
    return found?.where.kind === 'global' ? found.symbol : undefined;
  }
  findType(name: string): Type | undefined {
    return this.#types.get(name);
  }
  findEnumerator(name: string): { readonly type: Type; readonly value: bigint } | undefined {
    return this.#enumerators.get(name);
  }
  findFunction(name: string, file?: string): FunctionName | undefined {
    return this.#functions.get(file === undefined ? name : `'${file}'::${name}`);
  }
  *names(): Iterable<string> {
    yield* this.#variables.keys();
    yield* this.#functions.keys();
  }

  get memory(): MemoryReader {
    return {
      read: (address, length) => {
        const bytes = new Uint8Array(length);
        for (let i = 0; i < length; i++) {
          const byte = this.#bytes.get(BigInt.asUintN(64, address + BigInt(i)));
          if (byte === undefined) {
            return absent('not-captured', 'not captured', {
              address: BigInt.asUintN(64, address + BigInt(i)),
            });
          }
          bytes[i] = byte;
        }
        return { bytes, provenance: 'at-hit' };
      },
    };
  }

  frame(): EvaluationFrame {
    const register = (n: number): bigint | Absent =>
      this.registers[n] ?? absent('unwind-failed', `register ${n} is not known`);
    return {
      memory: this.memory,
      register,
      relocate: (address) => address + bias,
      variablePlace: (variable) => {
        const where = this.#where(variable);
        if (where.kind === 'absent') return where;
        if (where.kind === 'memory') return where;
        if (where.kind === 'global') return { kind: 'memory', address: where.link + bias };
        if (where.kind === 'value') return { kind: 'bytes', bytes: where.bytes };
        const value = register(where.register);
        if (isAbsent(value)) return { kind: 'absent', absent: value };
        const bytes = new Uint8Array(8);
        new DataView(bytes.buffer).setBigUint64(0, value, true);
        return { kind: 'bytes', bytes: bytes.subarray(0, sizeOf(variable.type())) };
      },
      pid: 100,
      tid: 101,
      comm: 'worker',
      limits: defaultLimits,
    };
  }

  lowering(): LoweringContext {
    return {
      variableLocation: (variable): PlanLocation | Absent => {
        const where = this.#where(variable);
        const out = new OpWriter();
        switch (where.kind) {
          case 'absent':
            return where.absent;
          case 'memory':
            return { kind: 'address', expression: out.constant(where.address).finish() };
          case 'global':
            return { kind: 'address', expression: out.address(where.link).finish() };
          case 'register':
            return { kind: 'value', expression: out.register(where.register, 0n).finish() };
          case 'value': {
            if (where.bytes.length > 8) return absent('unsupported', 'it is a long constant');
            const value = [...where.bytes].reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
            return { kind: 'value', expression: out.constant(value).finish() };
          }
        }
      },
    };
  }

  /** Runs an expression of a plan against this program. */
  run(expression: Uint8Array, objectAddress?: bigint): bigint | Absent {
    const context: ExpressionContext = {
      register: (n) => this.registers[n] ?? absent('unwind-failed', `register ${n} is not known`),
      memory: this.memory,
      relocate: (address) => address + bias,
      ...(objectAddress === undefined ? {} : { objectAddress }),
    };
    return evaluateValue(expression, context);
  }

  #where(variable: VariableSymbol): Where {
    const found = [...this.#variables.values()].find(({ symbol }) => symbol === variable);
    if (found === undefined) throw new Error(`no variable ${variable.name}`);
    return found.where;
  }
}

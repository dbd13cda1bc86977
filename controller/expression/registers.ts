/** `$rip`, `$x0` and their like, with the types that gdb gives them (gdb/features/i386/64bit-core.xml, aarch64-core.xml). */
import type { Machine, RegisterView } from '../../format/registers/machine.js';
import type { Type } from '../types/type.js';
import { builtinType, intType, longType, pointerTo } from './c-types.js';

export interface NamedRegister {
  readonly register: number;
  readonly shift: number;
  readonly type: Type;
}

const types: Readonly<Record<RegisterView, Type>> = {
  code: pointerTo({
    kind: 'function',
    result: () => ({ kind: 'void' }),
    parameters: () => [],
    prototyped: false,
    variadic: false,
  }),
  data: pointerTo({ kind: 'void' }),
  long: longType,
  int: intType,
  short: builtinType('short') ?? intType,
  byte: builtinType('signed char') ?? intType,
};

const tables = new WeakMap<Machine, ReadonlyMap<string, NamedRegister>>();

function tableOf(machine: Machine): ReadonlyMap<string, NamedRegister> {
  const known = tables.get(machine);
  if (known !== undefined) return known;
  const table = new Map(
    machine.views.map(({ name, register, shift, view }) => [name, { register, shift, type: types[view] }]),
  );
  tables.set(machine, table);
  return table;
}

/** By name without the `$`. */
export function findRegister(name: string, machine: Machine): NamedRegister | undefined {
  return tableOf(machine).get(name);
}

/** `arg1` is the first argument of the function that is entered here, if that is an integer or a pointer. */
export function findArgument(name: string, machine: Machine): NamedRegister | undefined {
  const position = /^arg([1-9])$/.exec(name)?.[1];
  const register = machine.argumentRegisters[Number(position) - 1];
  return register === undefined ? undefined : { register, shift: 0, type: longType };
}

export function registerNames(machine: Machine): Iterable<string> {
  return tableOf(machine).keys();
}

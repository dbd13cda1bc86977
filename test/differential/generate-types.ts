/** Types of generated programs: what C has, in every combination that a declaration allows. */
import type { Chance } from './chance.js';

export interface CType {
  /** The declaration of a name with this type. */
  declare(name: string): string;
  /** An initializer; undefined where it is filled with bytes instead. */
  value?: () => string;
  /** What it takes part in: arithmetic, or nothing but being there. */
  readonly kind: 'integer' | 'float' | 'complex' | 'pointer' | 'aggregate';
  /** Members that can be assigned as integers. */
  readonly members?: readonly string[];
}

const named = (name: string, kind: CType['kind'], value?: () => string): CType => ({
  declare: (variable) => `${name} ${variable}`,
  kind,
  ...(value === undefined ? {} : { value }),
});

const integers = [
  'char',
  'signed char',
  'unsigned char',
  'short',
  'unsigned short',
  'int',
  'unsigned',
  'long',
  'unsigned long',
  'long long',
  'unsigned long long',
  'int8_t',
  'uint8_t',
  'uint16_t',
  'int32_t',
  'uint64_t',
  'size_t',
  'wchar_t',
  'char16_t',
  'char32_t',
  '__int128',
  'unsigned __int128',
  'intptr_t',
  'ptrdiff_t',
];
const floats = ['float', 'double', 'long double', '__float128'];

export class TypeMaker {
  readonly #chance: Chance;
  readonly definitions: string[] = [];
  readonly #made: CType[] = [];
  #count = 0;

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  /** A type of which a variable, a member or an element can be. */
  any(depth = 3): CType {
    const chance = this.#chance;
    if (depth <= 0 || chance.is(0.35)) return this.scalar();
    switch (chance.below(9)) {
      case 0:
      case 1:
        return this.array(this.any(depth - 1));
      case 2:
        return this.qualified(this.any(depth - 1));
      case 3:
      case 4:
        return this.#made.length > 3 ? chance.of(this.#made) : this.composite(depth - 1);
      case 5:
        return this.pointer(depth - 1);
      case 6:
        return this.alias(this.any(depth - 1));
      case 7:
        return chance.is(0.5) ? this.vector() : this.enumeration();
      default:
        return this.composite(depth - 1);
    }
  }

  scalar(): CType {
    const chance = this.#chance;
    switch (chance.below(8)) {
      case 0:
        return this.float();
      case 1:
        return this.enumeration();
      case 2:
        return named('_Bool', 'integer', () => chance.of(['0', '1']));
      case 3:
        return this.pointer(1);
      case 4:
        return chance.is(0.4) ? this.complex() : this.integer();
      default:
        return this.integer();
    }
  }

  integer(): CType {
    const chance = this.#chance;
    return named(chance.of(integers), 'integer', () => this.integerValue());
  }

  integerValue(): string {
    const chance = this.#chance;
    return chance.of([
      () => String(chance.between(-5, 100)),
      () => `0x${chance.below(0x7fffffff).toString(16)}`,
      () => `-${chance.below(1 << 30)}`,
      () => `${chance.below(1 << 30)}${chance.below(1 << 20)}LL`,
      () =>
        `'${chance.of(['a', 'Z', String.raw`\n`, String.raw`\'`, String.raw`\\`, '0', String.raw`\377`])}'`,
    ])();
  }

  float(): CType {
    const name = this.#chance.of(floats);
    return named(name, 'float', () => this.floatValue());
  }

  floatValue(): string {
    const chance = this.#chance;
    return chance.of([
      '0.1',
      '-0.0',
      '1.0/3',
      '1e300*1e300',
      '-1.5e-30',
      '3.14159265358979323846L',
      '16777217.0',
      '1e-45f',
      '2.5',
      `${chance.below(1e6)}.${chance.below(1e6)}`,
      '__builtin_nan("")',
      '123456789012345678.0L',
      '5e-324',
    ]);
  }

  complex(): CType {
    const chance = this.#chance;
    const name = chance.of(['float', 'double', 'long double']);
    return named(`${name} _Complex`, 'complex', () => `${this.floatValue()} + ${chance.between(-9, 9)}.25i`);
  }

  enumeration(): CType {
    const chance = this.#chance;
    const name = `e${this.#count++}`;
    const form = chance.below(5);
    const values = Array.from({ length: chance.between(1, 6) }, (_, i) => {
      if (form === 0) return i;
      if (form === 1) return 1 << i;
      if (form === 2) return i * 7 - 10;
      if (form === 3) return i === 0 ? 0 : 1 << (i * 3);
      return i === 0 ? '0x123456789abLL' : i;
    });
    const list = values.map((value, i) => `${name.toUpperCase()}_${i} = ${value}`).join(', ');
    this.definitions.push(`enum ${name} { ${list} };`);
    const any = (): string => {
      const all = values.map((_, i) => `${name.toUpperCase()}_${i}`);
      if (form === 1 && chance.is(0.6))
        return `(enum ${name})(${chance.of(all)} | ${chance.of(all)}${chance.is(0.2) ? ' | 64' : ''})`;
      return chance.is(0.15) ? `(enum ${name})${chance.below(40)}` : chance.of(all);
    };
    return named(`enum ${name}`, 'integer', any);
  }

  vector(): CType {
    const chance = this.#chance;
    const element = chance.of(['char', 'short', 'int', 'long', 'float', 'double', 'unsigned']);
    const bytes = chance.of([8, 16, 32]);
    const name = `v${this.#count++}`;
    this.definitions.push(`typedef ${element} ${name} __attribute__((vector_size(${Math.max(bytes, 8)})));`);
    return { declare: (variable) => `${name} ${variable}`, kind: 'aggregate' };
  }

  array(element: CType): CType {
    const chance = this.#chance;
    const count = chance.is(0.05) ? 0 : chance.is(0.05) ? 120 : chance.between(1, 5);
    const { value } = element;
    return {
      declare: (variable) => element.declare(`${variable}[${count}]`),
      kind: 'aggregate',
      ...(value === undefined || count === 0 || count > 50
        ? {}
        : { value: () => `{${Array.from({ length: chance.between(1, count) }, value).join(', ')}}` }),
    };
  }

  qualified(type: CType): CType {
    const qualifier = this.#chance.of([
      'const',
      'volatile',
      'const volatile',
      ...(type.kind === 'integer' ? ['_Atomic'] : []),
    ]);
    return { ...type, declare: (variable) => `${qualifier} ${type.declare(variable)}` };
  }

  alias(type: CType): CType {
    const name = `t${this.#count++}`;
    this.definitions.push(`typedef ${type.declare(name)};`);
    return { ...type, declare: (variable) => `${name} ${variable}` };
  }

  pointer(depth: number): CType {
    const chance = this.#chance;
    const text = [
      '"text"',
      '""',
      String.raw`"\n\t\"\\\x01\xff\x80 caf\xc3\xa9"`,
      '0',
      '(void *)1',
      '(void *)0x7fffffff0000',
    ];
    switch (chance.below(9)) {
      case 0:
        return named(
          chance.of(['char *', 'const char *', 'unsigned char *']),
          'pointer',
          () => `(void *)${chance.of(text)}`,
        );
      case 1:
        return named('void *', 'pointer', () => chance.of(['0', '&sink', '(void *)1', 'some_text']));
      case 2:
        return {
          declare: (variable) => `int (*${variable})(int, char *)`,
          kind: 'pointer',
          value: () => chance.of(['callee', '0', '(void *)1', '(void *)((char *)callee + 3)']),
        };
      case 3:
        return {
          declare: (variable) => `int (**${variable})(int, char *)`,
          kind: 'pointer',
          value: () => chance.of(['&global_function', '0']),
        };
      case 4:
        return named('struct unknown *', 'pointer', () => chance.of(['0', '(void *)&sink']));
      case 5:
        return named('const wchar_t *', 'pointer', () => chance.of(['L"wide"', '0']));
      case 6:
        return named('int **', 'pointer', () => chance.of(['&int_pointer', '0']));
      case 7:
        return named('int *restrict', 'pointer', () => chance.of(['int_pointer', 'int_array + 2', '0']));
      default: {
        const target = this.any(depth - 1);
        return {
          declare: (variable) => target.declare(`(*${variable})`),
          kind: 'pointer',
          value: () => chance.of(['0', '(void *)random_bytes', '(void *)(random_bytes + 24)', '(void *)8']),
        };
      }
    }
  }

  composite(depth: number): CType {
    const chance = this.#chance;
    const tag = `s${this.#count++}`;
    const isUnion = chance.is(0.2);
    const members = this.#members(depth, 'm', isUnion);
    const attributes = chance.of([
      '',
      '',
      '',
      ' __attribute__((packed))',
      ' __attribute__((aligned(32)))',
      ' __attribute__((packed, aligned(2)))',
    ]);
    const word = isUnion ? 'union' : 'struct';
    this.definitions.push(`${word} ${tag} {\n${members.text.join('\n')}\n}${attributes};`);
    const type: CType = {
      declare: (variable) => `${word} ${tag} ${variable}`,
      kind: 'aggregate',
      members: members.integers,
    };
    this.#made.push(type);
    return type;
  }

  #members(depth: number, prefix: string, isUnion: boolean): { text: string[]; integers: string[] } {
    const chance = this.#chance;
    const text: string[] = [];
    const integerNames: string[] = [];
    const count = chance.between(1, 6);
    for (let i = 0; i < count; i++) {
      const name = `${prefix}${i}`;
      const form = chance.below(10);
      if (form < 3) {
        const [type, bits] = chance.of([
          ['int', 32],
          ['unsigned', 32],
          ['long', 64],
          ['unsigned long', 64],
          ['char', 8],
          ['unsigned char', 8],
          ['short', 16],
          ['_Bool', 1],
          ['unsigned short', 16],
          ['unsigned long long', 64],
        ] as const);
        if (chance.is(0.12)) text.push(`  ${type} : ${chance.is(0.4) ? 0 : chance.between(1, bits)};`);
        text.push(`  ${type} ${name} : ${chance.between(1, bits)};`);
        integerNames.push(name);
      } else if (form === 3 && depth > 0) {
        const inner = this.#members(depth - 1, `${name}_`, !isUnion && chance.is(0.5));
        text.push(`  ${chance.of(['struct', 'union'])} {\n${inner.text.join('\n')}\n  };`);
        integerNames.push(...inner.integers);
      } else if (form === 4 && depth > 0) {
        const inner = this.#members(depth - 1, `${name}_`, false);
        text.push(`  struct {\n${inner.text.join('\n')}\n  } ${name};`);
      } else {
        const type = this.any(depth - 1);
        text.push(`  ${type.declare(name)};`);
      }
    }
    if (!isUnion && prefix === 'm' && chance.is(0.08))
      text.push(`  ${chance.of(['int', 'char', 'struct { int a; }'])} tail[];`);
    return { text, integers: integerNames };
  }
}

import { describe, expect, test } from 'vitest';
import { type RenderContext, renderValue, renderVariable } from '../../../controller/types/render.js';
import type { CompositeType, Type } from '../../../controller/types/type.js';
import type { Value } from '../../../controller/types/value.js';
import { at, type LiteralRange, u32, u64 } from '../../support/literal-memory.js';
import {
  char,
  constant,
  field,
  functionType,
  incompleteStruct,
  int,
  pointer,
  reference,
  struct,
  voidType,
} from '../../support/types.js';
import { context, known, place } from '../../support/values.js';

const text = (type: Type, memory: readonly LiteralRange[], more: Partial<RenderContext> = {}): object =>
  renderVariable('name', known(type, u64(0x71000)), context(memory, more));

const node: CompositeType = struct('node', 16, [field('id', int, 0), field('next', () => pointer(node), 8)]);

describe('pointers', () => {
  test('null has no target', () => {
    expect(renderValue(known(pointer(node), u64(0)), context([]))).toEqual({
      type: 'struct node *',
      kind: 'pointer',
      value: '0x0',
    });
  });

  test('a cycle ends at the depth', () => {
    const ring = [at(0x71000n, u64(1), u64(0x72000)), at(0x72000n, u64(2), u64(0x71000))];
    expect(renderValue(known(pointer(node), u64(0x71000)), context(ring, { depth: 2 }))).toEqual({
      type: 'struct node *',
      kind: 'pointer',
      value: '0x71000',
      target: {
        type: 'struct node',
        kind: 'struct',
        address: '0x71000',
        provenance: 'at-hit',
        fields: [
          { name: 'id', type: 'int', kind: 'int', value: '1', address: '0x71000', provenance: 'at-hit' },
          {
            name: 'next',
            type: 'struct node *',
            kind: 'pointer',
            value: '0x72000',
            address: '0x71008',
            provenance: 'at-hit',
            target: {
              type: 'struct node',
              kind: 'struct',
              address: '0x72000',
              provenance: 'at-hit',
              fields: [
                {
                  name: 'id',
                  type: 'int',
                  kind: 'int',
                  value: '2',
                  address: '0x72000',
                  provenance: 'at-hit',
                },
                {
                  name: 'next',
                  type: 'struct node *',
                  kind: 'pointer',
                  value: '0x71000',
                  address: '0x72008',
                  provenance: 'at-hit',
                },
              ],
            },
          },
        ],
      },
    });
  });

  test('a target that was not captured says how to capture it', () => {
    const ranges = [at(0x71000n, u64(1), u64(0x72000))];
    expect(renderVariable('list', known(pointer(node), u64(0x71000)), context(ranges))).toMatchObject({
      name: 'list',
      target: {
        fields: [
          { value: '1' },
          {
            value: '0x72000',
            target: {
              type: 'struct node',
              kind: 'struct',
              address: '0x72000',
              absent: {
                reason: 'not-captured',
                detail: '0x72000 was not captured',
                address: '0x72000',
                length: 16,
                hint: "capture it with --capture 'list->next'",
              },
            },
          },
        ],
      },
    });
  });

  test('a partly captured struct shows what is there', () => {
    expect(
      renderVariable('list', known(pointer(node), u64(0x71000)), context([at(0x71000n, u64(1), u32(0))])),
    ).toEqual({
      name: 'list',
      type: 'struct node *',
      kind: 'pointer',
      value: '0x71000',
      target: {
        type: 'struct node',
        kind: 'struct',
        address: '0x71000',
        fields: [
          { name: 'id', type: 'int', kind: 'int', value: '1', address: '0x71000', provenance: 'at-hit' },
          {
            name: 'next',
            type: 'struct node *',
            kind: 'pointer',
            address: '0x71008',
            absent: {
              reason: 'not-captured',
              detail: '0x7100c was not captured',
              address: '0x7100c',
              length: 4,
              hint: "capture it with --capture 'list->next'",
            },
          },
        ],
      },
    });
  });

  test.each<[string, Value, Partial<RenderContext>, object]>([
    ['void *', known(pointer(voidType), u64(0x10)), {}, { type: 'void *', kind: 'pointer', value: '0x10' }],
    [
      'pointer to a function',
      known(pointer(functionType(int, [])), u64(0x401136)),
      { symbolize: (address) => (address === 0x401136n ? 'handle_order' : undefined) },
      { type: 'int (*)(void)', kind: 'pointer', value: '0x401136', text: 'handle_order' },
    ],
    [
      'function',
      place(functionType(int, []), 0x401136n),
      { symbolize: () => 'handle_order' },
      { type: 'int (void)', kind: 'function', text: 'handle_order', address: '0x401136' },
    ],
    [
      'pointer to an incomplete struct',
      known(pointer(incompleteStruct('opaque')), u64(0x10)),
      {},
      {
        type: 'struct opaque *',
        kind: 'pointer',
        value: '0x10',
        target: {
          type: 'struct opaque',
          kind: 'struct',
          address: '0x10',
          absent: {
            reason: 'no-debug-info',
            detail: 'struct opaque is only declared in the debug information, not defined',
          },
        },
      },
    ],
    [
      'depth 0',
      known(pointer(int), u64(0x10)),
      { depth: 0 },
      { type: 'int *', kind: 'pointer', value: '0x10' },
    ],
  ])('%s', (_, value, more, document) => {
    expect(renderValue(value, context([], more))).toEqual(document);
  });

  test('a reference shows the object', () => {
    const memory = [at(0x71000n, u32(5))];
    expect(renderValue(known(reference(int), u64(0x71000)), context(memory))).toEqual({
      type: 'int &',
      kind: 'int',
      value: '5',
      address: '0x71000',
      provenance: 'at-hit',
    });
  });
});

test('who knows better how to capture it says so', () => {
  const list = known(pointer(node), u64(0x71000));
  const hintOf = (captureHint: (expression: string) => string | undefined): string | undefined =>
    renderVariable('list', list, context([], { captureHint })).target?.absent?.hint;
  expect(hintOf((expression) => `set a point there for ${expression}`)).toBe('set a point there for list');
  expect(hintOf(() => undefined)).toBeUndefined();
});

describe('strings', () => {
  const first = { type: 'char', kind: 'char', address: '0x71000', provenance: 'at-hit' };

  test('a string is the text of its pointer, at any depth', () => {
    expect(text(pointer(char), [at(0x71000n, 'abc-123\0rest')], { depth: 0 })).toEqual({
      name: 'name',
      type: 'char *',
      kind: 'pointer',
      value: '0x71000',
      text: 'abc-123',
      target: { ...first, value: '97', text: "'a'" },
      length: 7,
    });
  });
  test('UTF-8, and what is not', () => {
    const memory = [at(0x71000n, 'h\u00e9\ufeff', 0xff, 0xc3, '(\t\0')];
    expect(text(pointer(constant(char)), memory)).toMatchObject({
      type: 'const char *',
      text: 'h\u00e9\ufeff\\xff\\xc3(\t',
    });
  });
  test('longer than the limit', () => {
    const memory = [at(0x71000n, 'x'.repeat(2000), 0)];
    expect(text(pointer(char), memory)).toEqual({
      name: 'name',
      type: 'char *',
      kind: 'pointer',
      value: '0x71000',
      text: 'x'.repeat(1024),
      target: { ...first, value: '120', text: "'x'" },
      absent: { reason: 'limit', detail: 'the string goes on after 1024 bytes', address: '0x71400' },
    });
  });
  test('exactly as long as was captured', () => {
    expect(text(pointer(char), [at(0x71000n, 'x'.repeat(100), 0)])).toMatchObject({ length: 100 });
  });
  test('captured in part', () => {
    expect(text(pointer(char), [at(0x71000n, 'abc')])).toMatchObject({
      text: 'abc',
      absent: {
        reason: 'not-captured',
        detail: '0x71003 was not captured',
        address: '0x71003',
        hint: "capture it with --capture 'name'",
      },
    });
  });
  test('not captured', () => {
    expect(text(pointer(char), [])).toEqual({
      name: 'name',
      type: 'char *',
      kind: 'pointer',
      value: '0x71000',
      target: {
        type: 'char',
        kind: 'char',
        address: '0x71000',
        absent: {
          reason: 'not-captured',
          detail: '0x71000 was not captured',
          address: '0x71000',
          length: 1,
          hint: "capture it with --capture 'name'",
        },
      },
    });
  });
});

import { describe, expect, test } from 'vitest';
import { placeOfLocation } from '../../../controller/snapshot/variable-place.js';
import { FrameRegisters, type RegisterValue } from '../../../controller/unwind/frame-registers.js';
import { absent, type Absent } from '../../../format/absent.js';
import type { Location } from '../../../format/dwarf-op/location.js';
import { memoryOf } from '../../support/memory.js';

const lost = absent('optimized-out', 'register r2 is lost');
const registers = new FrameRegisters({
  values: new Map<number, RegisterValue | Absent>([
    [0, { value: 0x1122_3344_5566_7788n, provenance: 'at-hit' }],
    [1, { value: 0xaabb_ccdd_eeff_0011n, provenance: 'racy' }],
    [2, lost],
  ]),
  wide: new Map([[17, { bytes: Uint8Array.from({ length: 16 }, (_, i) => i), provenance: 'at-hit' }]]),
  nameOf: (number) => `r${number}`,
  otherwise: 'is lost',
});
const memory = memoryOf([{ address: 0x1000n, bytes: Uint8Array.of(1, 2, 3, 4) }]);
const place = (location: Location, size: number | undefined): unknown =>
  placeOfLocation(location, size, { memory, registers });
const missing = (why: unknown): unknown => ({ kind: 'absent', absent: why });

describe('one location', () => {
  test('memory is read by whoever looks at it', () => {
    expect(place({ kind: 'memory', address: 0x1000n }, 4)).toEqual({ kind: 'memory', address: 0x1000n });
    expect(place({ kind: 'memory', address: 0x1000n }, undefined)).toMatchObject({ kind: 'memory' });
  });

  test('a register gives its low-order bytes, with the provenance of where it was', () => {
    expect(place({ kind: 'register', register: 1 }, 2)).toEqual({
      kind: 'bytes',
      bytes: Uint8Array.of(0x11, 0x00),
      provenance: 'racy',
    });
    expect(place({ kind: 'register', register: 17 }, 16)).toMatchObject({
      kind: 'bytes',
      provenance: 'at-hit',
    });
  });

  test.each<[string, Location, number | undefined, unknown]>([
    ['a register that is lost', { kind: 'register', register: 2 }, 4, lost],
    [
      'a register that is too small',
      { kind: 'register', register: 0 },
      12,
      absent('unsupported', 'an object of 12 bytes in a register of 8'),
    ],
    [
      'a computed value that is too small',
      { kind: 'value', bytes: new Uint8Array(8) },
      16,
      absent('unsupported', 'an object of 16 bytes in a computed value of 8'),
    ],
    [
      'a constant that is too small',
      { kind: 'implicit', bytes: new Uint8Array(2) },
      4,
      absent('unsupported', 'an object of 4 bytes in a constant of 2'),
    ],
    ['nowhere', { kind: 'empty' }, 4, absent('optimized-out', 'the compiler kept it nowhere at this point')],
    [
      'a pointer to what is nowhere',
      { kind: 'implicit-pointer', die: 7, offset: 0n },
      8,
      absent('optimized-out', 'it points to an object that the compiler kept nowhere in memory'),
    ],
    [
      'an unknown size',
      { kind: 'register', register: 0 },
      undefined,
      absent('unsupported', 'an object of unknown size that is not in memory'),
    ],
  ])('%s is absent', (_, location, size, why) => {
    expect(place(location, size)).toEqual(missing(why));
  });

  test('computed values and constants', () => {
    const bytes = Uint8Array.of(9, 8, 7, 6, 5, 4, 3, 2);
    expect(place({ kind: 'value', bytes }, 4)).toEqual({ kind: 'bytes', bytes: Uint8Array.of(9, 8, 7, 6) });
    expect(place({ kind: 'implicit', bytes }, 8)).toEqual({ kind: 'bytes', bytes });
  });
});

describe('pieces', () => {
  test('are put together, and are as trustworthy as the weakest', () => {
    const location: Location = {
      kind: 'pieces',
      pieces: [
        { bitSize: 16, bitOffset: 0, location: { kind: 'memory', address: 0x1001n } },
        { bitSize: 32, bitOffset: 0, location: { kind: 'register', register: 1 } },
        { bitSize: 16, bitOffset: 0, location: { kind: 'implicit', bytes: Uint8Array.of(5, 6) } },
      ],
    };
    expect(place(location, 8)).toEqual({
      kind: 'bytes',
      bytes: Uint8Array.of(2, 3, 0x11, 0x00, 0xff, 0xee, 5, 6),
      provenance: 'racy',
    });
    // What is left over of the pieces is no part of the object.
    expect(place(location, 7)).toMatchObject({ bytes: Uint8Array.of(2, 3, 0x11, 0x00, 0xff, 0xee, 5) });
  });

  test('of bits, which do not begin at bytes', () => {
    const location: Location = {
      kind: 'pieces',
      pieces: [
        { bitSize: 3, bitOffset: 0, location: { kind: 'value', bytes: Uint8Array.of(0b101) } },
        { bitSize: 7, bitOffset: 4, location: { kind: 'register', register: 0 } },
        { bitSize: 6, bitOffset: 0, location: { kind: 'value', bytes: Uint8Array.of(0) } },
      ],
    };
    // Bits 4 to 10 of 0x7788 are 1111000.
    expect(place(location, 2)).toMatchObject({ bytes: Uint8Array.of(0b1100_0101, 0b0000_0011) });
  });

  const known = {
    kind: 'bytes',
    bytes: Uint8Array.of(0x88, 0x77, 0x66, 0x55, 0, 0, 0, 0),
    provenance: 'at-hit',
  };

  test.each<[string, Location, number, Absent]>([
    [
      'one that is lost',
      {
        kind: 'pieces',
        pieces: [
          { bitSize: 32, bitOffset: 0, location: { kind: 'register', register: 0 } },
          { bitSize: 32, bitOffset: 0, location: lost },
        ],
      },
      8,
      absent('optimized-out', 'register r2 is lost'),
    ],
    [
      'one that was not captured',
      {
        kind: 'pieces',
        pieces: [
          { bitSize: 32, bitOffset: 0, location: { kind: 'register', register: 0 } },
          { bitSize: 32, bitOffset: 0, location: { kind: 'memory', address: 0x2000n } },
        ],
      },
      8,
      absent('not-captured', 'no memory at 0x2000', { address: 0x2000n, length: 4 }),
    ],
    [
      'too few',
      {
        kind: 'pieces',
        pieces: [{ bitSize: 32, bitOffset: 0, location: { kind: 'register', register: 0 } }],
      },
      8,
      absent('optimized-out', 'the compiler kept it nowhere at this point'),
    ],
  ])('%s: the other bits are known', (_, location, size, why) => {
    expect(place(location, size)).toEqual({ ...known, missing: [{ start: 32, end: 64, absent: why }] });
  });

  test('all are lost: the whole is absent', () => {
    const pieces = [lost, lost].map((each) => ({ bitSize: 32, bitOffset: 0, location: each }));
    expect(place({ kind: 'pieces', pieces }, 8)).toEqual(
      missing(absent('optimized-out', 'register r2 is lost')),
    );
  });
});

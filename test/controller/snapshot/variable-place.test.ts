import { describe, expect, test } from 'vitest';
import { placeOfLocation } from '../../../controller/snapshot/variable-place.js';
import { FrameRegisters, type RegisterValue } from '../../../controller/unwind/frame-registers.js';
import { absent, type Absent } from '../../../format/absent.js';
import type { Location, LocationPiece } from '../../../format/dwarf-op/location.js';
import { memoryOf } from '../../support/memory.js';

const lost = absent('optimized-out', 'register r2 is lost');
const registers = new FrameRegisters({
  values: new Map<number, RegisterValue | Absent>([
    [0, { value: 0x1122_3344_5566_7788n, provenance: 'at-hit' }],
    [1, { value: 0xaabb_ccdd_eeff_0011n, provenance: 'racy' }],
    [2, lost],
  ]),
  wide: new Map([
    [17, { bytes: Uint8Array.from({ length: 16 }, (_, i) => i), provenance: 'at-hit' }],
    [33, { bytes: new Uint8Array(16), provenance: 'at-hit' }],
  ]),
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
      'a double in an x87 register, which holds ten bytes of another format',
      { kind: 'register', register: 33 },
      8,
      absent('unsupported', 'an object of 8 bytes in an x87 register'),
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
    // Pieces of more than the object are of another object.
    expect(place(location, 7)).toEqual(
      missing(absent('unsupported', 'an object of 7 bytes in pieces of 64 bits')),
    );
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

  const first = { bitSize: 32, bitOffset: 0, location: { kind: 'register', register: 0 } } as const;
  const nowhere = absent('optimized-out', 'the compiler kept it nowhere at this point');

  test.each<[string, LocationPiece[], Absent]>([
    ['one that is lost', [first, { bitSize: 32, bitOffset: 0, location: lost }], lost],
    [
      'one that was not captured',
      [first, { bitSize: 32, bitOffset: 0, location: { kind: 'memory', address: 0x2000n } }],
      absent('not-captured', 'no memory at 0x2000', { address: 0x2000n, length: 4 }),
    ],
    ['one that is empty', [first, { bitSize: 32, bitOffset: 0, location: { kind: 'empty' } }], nowhere],
    [
      'too few: nothing is said of the rest',
      [first],
      absent('optimized-out', 'the compiler does not say where this part of it is'),
    ],
  ])('%s: only that is absent', (_, pieces, why) => {
    expect(place({ kind: 'pieces', pieces }, 8)).toEqual({
      kind: 'bytes',
      bytes: Uint8Array.of(0x88, 0x77, 0x66, 0x55, 0, 0, 0, 0),
      provenance: 'at-hit',
      gaps: [{ start: 32, end: 64, absent: why }],
    });
  });

  test('of which none is there: the whole is absent', () => {
    const pieces: LocationPiece[] = [
      { bitSize: 32, bitOffset: 0, location: lost },
      { bitSize: 32, bitOffset: 0, location: { kind: 'empty' } },
    ];
    expect(place({ kind: 'pieces', pieces }, 8)).toEqual(missing(lost));
  });

  test('a pointer among them to what is nowhere can be followed', () => {
    const pointee = { kind: 'memory', address: 0x1000n } as const;
    const pieces: LocationPiece[] = [
      first,
      { bitSize: 64, bitOffset: 0, location: { kind: 'implicit-pointer', die: 7, offset: 4n } },
    ];
    const asked: unknown[] = [];
    const found = placeOfLocation({ kind: 'pieces', pieces }, 12, {
      memory,
      registers,
      pointee: (...what) => {
        asked.push(what);
        return () => pointee;
      },
    });
    expect(found).toMatchObject({ gaps: [{ start: 32, end: 96 }] });
    expect(found.kind === 'bytes' ? found.gaps?.[0]?.pointee?.() : undefined).toBe(pointee);
    expect(asked).toEqual([[7, 4n]]);
  });
});

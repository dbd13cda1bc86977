/** Changes bytes at random, from a seed that gives the same changes each time: flips, interesting numbers, cuts, copies, splices. */

export interface Random {
  /** An integer from 0 to `limit` - 1. */
  below(limit: number): number;
}

/** xorshift32: good enough to choose mutations, and the same everywhere. */
export function seededRandom(seed: number): Random {
  let state = seed | 0 || 0x9e37_79b9;
  return {
    below(limit) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return limit <= 0 ? 0 : (state >>> 0) % limit;
    },
  };
}

/** What breaks parsers of lengths, offsets, counts and LEB128. */
const interesting: readonly (readonly number[])[] = [
  [0],
  [0xff],
  [0x7f],
  [0x80],
  [0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff],
  [0xf0, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0x7f],
  [0, 0, 0, 0x80],
  [0, 0, 0, 0, 0, 1, 0, 0],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f],
];

export interface MutateOptions {
  readonly random: Random;
  /** For splices: another input. */
  readonly other: Uint8Array;
  readonly maxBytes: number;
  /** Changes are made in so many bytes from the beginning on, mostly: a core has its notes there. */
  readonly hotBytes?: number | undefined;
}

export function mutate(input: Uint8Array, options: MutateOptions): Uint8Array {
  const { random } = options;
  let bytes: Uint8Array = input.slice();
  const changes = 1 + random.below(random.below(3) === 0 ? 8 : 3);
  for (let i = 0; i < changes; i++) bytes = changeOnce(bytes, options);
  return bytes.length > options.maxBytes ? bytes.slice(0, options.maxBytes) : bytes;
}

function changeOnce(bytes: Uint8Array, { random, other, hotBytes }: MutateOptions): Uint8Array {
  const hot =
    hotBytes === undefined || random.below(8) === 0 ? bytes.length : Math.min(hotBytes, bytes.length);
  const at = random.below(hot);
  switch (random.below(11)) {
    case 0:
      if (bytes.length > 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
      return bytes;
    case 1:
      if (bytes.length > 0) bytes[at] = random.below(256);
      return bytes;
    case 2:
    case 3: {
      const numbers = interesting[random.below(interesting.length)] ?? [0];
      for (const [i, value] of numbers.entries()) if (at + i < bytes.length) bytes[at + i] = value;
      return bytes;
    }
    case 4:
      if (bytes.length > 0) bytes[at] = (bytes[at] ?? 0) + random.below(33) - 16;
      return bytes;
    case 5:
      return joined(bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(16)));
    case 6: {
      const from = random.below(bytes.length);
      return joined(
        bytes.subarray(0, at),
        bytes.subarray(from, from + 1 + random.below(32)),
        bytes.subarray(at),
      );
    }
    case 7: {
      const from = random.below(bytes.length);
      bytes.copyWithin(at, from, from + 1 + random.below(16));
      return bytes;
    }
    case 8:
      return random.below(4) === 0 ? bytes.slice(0, at) : bytes;
    case 9: {
      const from = random.below(other.length);
      return joined(bytes.subarray(0, at), other.subarray(from, from + random.below(64)), bytes.subarray(at));
    }
    default: {
      const fresh = Uint8Array.from({ length: 1 + random.below(8) }, () => random.below(256));
      return joined(bytes.subarray(0, at), fresh, bytes.subarray(at));
    }
  }
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

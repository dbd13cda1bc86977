/**
 * Ids of points and snapshots: twelve characters, ordered by time, safe in a path and on a command line. Eight characters of
 * milliseconds since 2025 and four of chance, in Crockford's base 32 (no i, l, o, u).
 */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const epochMs = Date.UTC(2025, 0, 1);
const timeDigits = 8;
const randomDigits = 4;

export const identifierPattern: RegExp = /^[0-9a-hjkmnp-tv-z]{12}$/;

/** `random`: at least four bytes of chance. */
export function makeIdentifier(timeMs: number, random: Uint8Array): string {
  if (random.length < randomDigits) throw new RangeError(`${randomDigits} random bytes wanted`);
  let rest = Math.max(0, Math.floor(timeMs) - epochMs);
  let time = '';
  for (let i = 0; i < timeDigits; i++) {
    time = (alphabet[rest % 32] ?? '0') + time;
    rest = Math.floor(rest / 32);
  }
  return time + Array.from(random.subarray(0, randomDigits), (byte) => alphabet[byte % 32]).join('');
}

export function isIdentifier(text: string): boolean {
  return identifierPattern.test(text);
}

const armingPattern = /^([0-9a-hjkmnp-tv-z]{12})-[0-9a-f]{8}$/;

/**
 * What a controller calls its point at an agent, where a point may be armed with several plans, one for each build of the program: the
 * point's id and the start of the build id. The same point and build give the same name, so that arming again is arming once.
 * `generation`: 0, or one more for each arming of that build that ended before all was had that the point asks for.
 */
export function makeArmingIdentifier(point: string, buildId: string, generation = 0): string {
  const build = buildId.padEnd(8, '0');
  if (generation === 0) return `${point}-${build.slice(0, 8)}`;
  if (generation > 0xff) throw new RangeError(`generation ${generation} does not fit two digits`);
  return `${point}-${build.slice(0, 6)}${generation.toString(16).padStart(2, '0')}`;
}

/** An id of a point as an agent may know it: the point's own, or one that `makeArmingIdentifier` made. */
export function isPointIdentifier(text: string): boolean {
  return isIdentifier(text) || armingPattern.test(text);
}

/** The point that an arming is of; a point's own id, or any other text, as it is. */
export function pointOfArming(text: string): string {
  return armingPattern.exec(text)?.[1] ?? text;
}

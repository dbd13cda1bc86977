/**
 * The seed of every random test. A checkout passes or fails for what is in it, so it is the same in each run; `STILLFRAME_SEED=N` takes another one, and
 * `STILLFRAME_SEED=random` one of the clock (each test that fails names what it met).
 */
const defaultSeed = 20_261_127;

export function testSeed(): number {
  const wanted = process.env['STILLFRAME_SEED'];
  if (wanted === undefined) return defaultSeed;
  if (wanted === 'random') return Date.now() % 1_000_000_000;
  const seed = Number(wanted);
  if (!Number.isSafeInteger(seed)) throw new Error(`STILLFRAME_SEED is no whole number: ${wanted}`);
  return seed;
}

/**
 * Before each test file: properties take their seed from {@link testSeed}, and who waits for a state waits as long as a busy machine needs. After each
 * test that failed, what there is to understand it by is printed.
 */
import { configureGlobal } from 'fast-check';
import { afterEach, TestRunner, vi } from 'vitest';
import { askFailure, takeEvidence } from './evidence.js';
import { testSeed } from './seed.js';

/** Less than a test has (vitest.config.mjs), so that what was seen last is told. `expect.poll` has the same by the configuration. */
const patienceMs = 60_000;

configureGlobal({ seed: testSeed() });
askFailure(() => TestRunner.getCurrentTest()?.result?.state === 'fail');

const { waitFor } = vi;
vi.waitFor = (callback, options) => {
  const given = typeof options === 'number' ? { timeout: options } : options;
  return waitFor(callback, { timeout: patienceMs, ...given });
};

// It runs last: what a test started has been taken down by then, and has said its last word.
afterEach(async ({ task }) => {
  const evidence = await takeEvidence();
  if (evidence !== '') console.error(`what there was when "${task.name}" failed:\n${evidence}`);
});

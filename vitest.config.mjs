import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/sequence.mjs';

// Tests run as they are shipped: compiled by tsc into dist/, so that worker threads and
// spawned processes are the very files that a user runs.
export default defineConfig({
  test: {
    include: ['dist/test/**/*.test.js'],
    pool: 'forks',
    // Times are for what hangs: a machine that is busy with other work takes ten times as long for all.
    testTimeout: 180_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    globalSetup: [],
    setupFiles: ['dist/test/support/setup.js'],
    // Node loads all but the tests themselves, without a transformation: half of the time that a short test takes was that.
    server: { deps: { external: [/\/dist\/(?!test\/.*\.test\.js$)/] } },
    // The user's own cache of indexes is not the tests', and making one takes time: tests of it name a folder of theirs.
    env: { STILLFRAME_SYMBOL_CACHE: 'off' },
  },
});

import { defineConfig } from 'vitest/config';

// Tests run as they are shipped: compiled by tsc into dist/, so that worker threads and
// spawned processes are the very files that a user runs.
export default defineConfig({
  test: {
    include: ['dist/test/**/*.test.js'],
    pool: 'forks',
    testTimeout: 60_000,
    hookTimeout: 300_000,
    maxWorkers: 2,
    globalSetup: [],
    setupFiles: ['dist/test/support/setup-seed.js'],
    // The user's own cache of indexes is not the tests', and making one takes time: tests of it name a folder of theirs.
    env: { STILLFRAME_SYMBOL_CACHE: 'off' },
  },
});

import { getuid } from 'node:process';
import type { TestContext } from 'vitest';

/** Where a missing feature fails the test instead of skipping it. */
function mustHave(): boolean {
  return process.env['CI'] === 'true' || process.env['STILLFRAME_REQUIRE_ALL'] === '1' || getuid?.() === 0;
}

/**
 * Skips a test whose feature the host lacks, printing the reason; fails it where the host should have the feature: under CI, with
 * STILLFRAME_REQUIRE_ALL=1, and for root. `missing` is undefined where the feature is there, else why not.
 */
export function requireFeature(context: TestContext, name: string, missing: string | undefined): void {
  if (missing === undefined) return;
  const reason = `needs ${name}: ${missing}`;
  if (mustHave()) throw new Error(`this host should have the feature, but the test ${reason}`);
  console.log(`skipped: ${context.task.name}: ${reason}`);
  context.skip(reason);
}

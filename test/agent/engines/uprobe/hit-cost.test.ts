import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { PointState } from '../../../../agent/bpf/point-state.js';
import { attachWays } from '../../../../agent/engines/uprobe/attach.js';
import { HitCosts } from '../../../../agent/engines/uprobe/hit-cost.js';
import { attachCounting, callProbed, isOwnEmulated, tryWay } from '../../../../agent/engines/uprobe/probe.js';
import { StillframeError } from '../../../../format/error.js';
import { requireFeature } from '../../../support/require-feature.js';

const [way] = attachWays();

function refusal(): string | undefined {
  try {
    if (way !== undefined) tryWay(way);
    return undefined;
  } catch (error) {
    if (error instanceof StillframeError) return error.message;
    throw error;
  }
}

describe('what hits cost', () => {
  test('the way into the kernel is measured once', (context) => {
    requireFeature(context, 'uprobes', refusal());
    if (way === undefined) return;
    const costs = new HitCosts();
    const passage = costs.passageNs(way, false);
    // A probe costs more than a call, and less than a stop.
    expect(passage).toBeGreaterThan(50);
    expect(passage).toBeLessThan(1e6);
    expect(costs.passageNs(way, false)).toBe(passage);
    expect(costs.spentNs(way, false, 1000n, 0)).toBe(BigInt(Math.round(passage)) * 1000n);
    expect(costs.spentNs(way, false, 1000n, 500)).toBe(BigInt(Math.round(passage)) * 1000n + 500_000n);
  });

  test('an instruction that is emulated is another matter', (context) => {
    requireFeature(context, 'uprobes', refusal());
    if (way === undefined) return;
    expect(isOwnEmulated('ffsll')).toBe(false);
    expect(isOwnEmulated('argz_count')).toBe(true);
    const costs = new HitCosts();
    const [emulated, stepped] = [costs.passageNs(way, true), costs.passageNs(way, false)];
    console.log(`emulated ${emulated.toFixed(0)} ns, single-stepped ${stepped.toFixed(0)} ns`);
    expect(emulated).toBeGreaterThan(50);
    expect(emulated).not.toBe(stepped);
  });

  test('the program by the count of the kernel, for a moment at a time', async (context) => {
    requireFeature(context, 'uprobes', refusal());
    if (way === undefined) return;
    using state = new PointState(1);
    using attachment = attachCounting(way, state.fd);
    const costs = new HitCosts();
    let looks = 0;
    costs.sample(() => looks++);
    for (let i = 0; i < 100; i++) callProbed();
    const counted = attachment.runs();
    expect(counted.count).toBe(100n);
    expect(counted.timeNs).toBeGreaterThan(0n);
    // Another process may have them counted meanwhile; by and by nobody does.
    await expect
      .poll(async () => {
        const before = attachment.runs().count;
        callProbed();
        await sleep(50);
        return attachment.runs().count - before;
      })
      .toBe(0n);
    const looked = looks;
    expect(looked).toBeGreaterThan(0);
    await sleep(50);
    expect(looks).toBe(looked);
  });
});

/**
 * The agent killed with -9 at random instants while hits come in, are shipped and acknowledged: in the end there are as many snapshots as were
 * asked, none lost and none doubled. STILLFRAME_KILLS says how many kills at least, 8 unless told.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stillframe } from '../../proto/generated/stillframe.js';
import { toLong } from '../../proto/long.js';
import type { CommandProperties } from '../../proto/service.js';
import { connectAgent, orderFor } from '../support/agent-client.js';
import { AgentTalk } from '../support/agent-talk.js';
import { openWorkplace, type Workplace } from '../support/cli.js';
import { startTicker } from '../support/ticker.js';

const kills = Number(process.env['STILLFRAME_KILLS'] ?? '8');
const { PointPhase } = stillframe.v1;
const id = '0000000000k1-0123abcd';

let workplace: Workplace;
beforeEach(() => {
  workplace = openWorkplace();
});
afterEach(async () => {
  await workplace[Symbol.asyncDispose]();
});

/** What a controller keeps for good: it acknowledges a part of it, so that some of it comes again. */
function receive(talk: AgentTalk, stored: Map<string, number>): void {
  talk.stream.on('data', (event: { snapshotEnd?: { snapshotId?: string | null } | null }) => {
    const snapshot = event.snapshotEnd?.snapshotId;
    if (typeof snapshot !== 'string') return;
    stored.set(snapshot, (stored.get(snapshot) ?? 0) + 1);
    if (Math.random() < 0.7) void talk.ask({ acknowledgeSnapshot: { snapshotId: snapshot } });
  });
}

test(
  `killed ${kills} times, it delivers as many hits as were asked`,
  { timeout: 60_000 + kills * 15_000 },
  async () => {
    const hitsPerLife = 6;
    const maxHits = kills * hitsPerLife;
    const stored = new Map<string, number>();
    const { pid } = await startTicker(workplace);
    const address = workplace.environment['STILLFRAME_AGENT'] ?? '';
    let arm: CommandProperties | undefined;
    let lives = 0;
    for (let isOver = false; !isOver; lives++) {
      if (lives > 3 * kills) throw new Error('it does not end');
      const agent = await workplace.startAgent();
      if (arm === undefined) {
        using client = await connectAgent(address);
        const { plan, expiresMs } = await orderFor(client, {
          pid,
          location: 'pass',
          condition: 'tick->number > 0',
        });
        const minIntervalNs = toLong(30_000_000n);
        arm = {
          arm: { pointId: id, pids: [pid], plan, maxHits, minIntervalNs, expiresMs: toLong(expiresMs) },
        };
      }
      using talk = new AgentTalk(address);
      receive(talk, stored);
      const armed = await talk.ask(arm);
      expect(armed.failure ?? undefined).toBeUndefined();
      const isLast = lives >= kills;
      const until = performance.now() + (isLast ? 10_000 : Math.random() * 300);
      while (performance.now() < until && !isOver) {
        const { points } = await talk.ask({ listPoints: { pointIds: [id] } });
        isOver = isLast && points?.points?.[0]?.phase === PointPhase.POINT_PHASE_ENDED;
        await sleep(5);
      }
      if (isOver) {
        // What was not acknowledged comes again, and nothing else.
        await talk.ask({ fetchSnapshots: { pointIds: [id] } });
        expect(Number((await talk.ask(arm)).pointState?.counters?.delivered)).toBe(maxHits);
      }
      agent.kill('SIGKILL');
      await new Promise((resolve) => agent.once('exit', resolve));
    }
    expect(lives).toBeGreaterThan(kills);
    expect(stored.size).toBe(maxHits);
  },
);

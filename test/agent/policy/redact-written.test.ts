import { expect, test } from 'vitest';
import { redact } from '../../../agent/policy/redact.js';
import type { Capture } from '../../../format/capture.js';
import { DW_OP } from '../../../format/dwarf-op/opcodes.js';
import type { PlanRange } from '../../../format/plan/plan.js';
import { planOf, siteOf } from '../../support/plan.js';

const address = 0x5000n;
const range = (secret: boolean): PlanRange => ({
  path: 'pin',
  address: Uint8Array.of(DW_OP.DW_OP_lit0),
  length: Uint8Array.of(DW_OP.DW_OP_lit4),
  maxBytes: 4,
  untilNul: false,
  secret,
  children: [],
});

const capture: Capture = {
  engine: 'watch',
  pid: 1,
  tid: 1,
  timeNs: 0n,
  site: 0,
  threads: [],
  ranges: [{ path: 'pin', address, bytes: Uint8Array.of(1, 2, 3, 4), provenance: 'at-hit' }],
  missing: [],
  cost: { hits: 1, conditionFalse: 0, dropped: 0, faults: 0, bytes: 4, stoppedNs: 0 },
  written: { expression: 'pin', address: address + 2n, bytes: 2, before: 0n, after: 0x0403n },
};

test.each([
  [true, undefined],
  [false, capture.written],
])('what was written to a secret (%s) does not leave the host', (secret, written) => {
  const left = redact(capture, planOf([{ ...siteOf(), ranges: [range(secret)] }]));
  expect(left.written).toEqual(written);
  expect(left.ranges).toHaveLength(secret ? 0 : 1);
});

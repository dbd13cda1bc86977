import { expect, test } from 'vitest';
import type { Explanation } from '../../../controller/planner/explain.js';
import { explanationText } from '../../../controller/planner/explain-text.js';

const explanation: Explanation = {
  location: 'price',
  module: { path: '/usr/bin/app', buildId: 'c0ffee' },
  stackBytes: 16384,
  maxBytes: 65536,
  dropped: [{ address: '0x401099', function: 'price', reason: '0x401099 is inside of an instruction' }],
  sites: [
    {
      address: '0x401010',
      function: 'price',
      file: '/src/order.c',
      line: 12,
      inlined: true,
      inlinedInto: ['charge', 'handle'],
      afterPrologue: false,
      instruction: { bytes: '55', group: 'push register', probe: 'emulated', cost: '1 us a hit' },
      condition: { text: 'n > 1', runsIn: 'kernel', listing: 'DW_OP_breg5 0; DW_OP_lit1; DW_OP_gt' },
      captures: [
        { expression: 'n', type: 'int' },
        { expression: 'm', type: 'int', absent: { reason: 'optimized-out', detail: 'm: optimised out' } },
      ],
      variables: [
        { name: 'n', type: 'int', parameter: true, function: 'price', where: 'in register rdi' },
        {
          name: 'order',
          type: 'struct order *',
          parameter: true,
          function: 'charge',
          absent: { reason: 'optimized-out', detail: 'optimised out' },
        },
      ],
      ranges: { count: 3, expectedBytes: 184, mostBytes: 1080 },
      cuts: ['order->note: more than 100 bytes'],
    },
    {
      address: '0x401040',
      function: 'price',
      inlined: false,
      inlinedInto: [],
      afterPrologue: true,
      instruction: { bytes: '', group: 'unknown', probe: 'unknown', cost: 'unknown' },
      captures: [],
      variables: [],
      ranges: { count: 0, expectedBytes: 0, mostBytes: 0 },
      cuts: [],
    },
  ],
};

test('an explanation reads as text', () => {
  expect(explanationText(explanation)).toBe(`price: 2 addresses in /usr/bin/app (build id c0ffee)

0x401010 price at /src/order.c:12
  inlined into charge, which is in handle
  cost: 1 us a hit (push register: 55)
  condition, decided in the kernel: n > 1
    DW_OP_breg5 0; DW_OP_lit1; DW_OP_gt
  captures
    n (int)
    m (int): optimized-out, m: optimised out
  variables
    of price
    n      int             in register rdi
    of charge
    order  struct order *  optimized-out: optimised out
  collects 3 ranges: about 184 bytes, 1080 at most
  left out
    order->note: more than 100 bytes

0x401040 price, after the prologue
  cost: unknown
  collects 0 ranges: about 0 bytes, 0 at most

not probed
  0x401099 price: 0x401099 is inside of an instruction

each hit also brings registers and 16384 bytes of stack; 65536 bytes in all at most
`);
});

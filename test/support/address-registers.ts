/** The processor's registers for addresses, four a thread: how many of them somebody has. */
import { StillframeError } from '../../format/error.js';
import {
  encodePerfEventAttribute,
  HW_BREAKPOINT_W,
  PERF_TYPE_BREAKPOINT,
  PerfEvent,
} from '../../agent/linux/perf-event.js';

const registers = 4;

/** Of one thread. Takes those that are free for a moment. */
export function takenAddressRegisters(tid: number): number {
  const events: PerfEvent[] = [];
  try {
    for (let free = 0; free < registers; free++) {
      const attribute = encodePerfEventAttribute({
        type: PERF_TYPE_BREAKPOINT,
        config: 0n,
        // Somewhere that nobody writes to.
        config1: 0x1000n,
        config2: 8n,
        breakpointType: HW_BREAKPOINT_W,
        flags: { disabled: true, excludeKernel: true },
      });
      try {
        events.push(new PerfEvent(attribute, { pid: tid, cpu: -1 }, 'cannot take an address register'));
      } catch (error) {
        if (error instanceof StillframeError && error.detail.errnoName === 'ENOSPC') return registers - free;
        throw error;
      }
    }
    return 0;
  } finally {
    for (const event of events) event[Symbol.dispose]();
  }
}

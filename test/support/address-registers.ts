/** The processor's registers for addresses, four a thread: how many of them somebody has. */
import { readdirSync } from 'node:fs';
import { StillframeError } from '../../format/error.js';
import {
  encodePerfEventAttribute,
  HW_BREAKPOINT_W,
  PERF_TYPE_BREAKPOINT,
  PerfEvent,
} from '../../agent/linux/perf-event.js';

const registers = 4;

/** Takes a free one of a thread; nobody writes where it looks. Undefined where there is none. */
function takeAddressRegister(tid: number): PerfEvent | undefined {
  const attribute = encodePerfEventAttribute({
    type: PERF_TYPE_BREAKPOINT,
    config: 0n,
    config1: 0x1000n,
    config2: 8n,
    breakpointType: HW_BREAKPOINT_W,
    flags: { disabled: true, excludeKernel: true },
  });
  try {
    return new PerfEvent(attribute, { pid: tid, cpu: -1 }, 'cannot take an address register');
  } catch (error) {
    if (error instanceof StillframeError && error.detail.errnoName === 'ENOSPC') return undefined;
    throw error;
  }
}

/** Of one thread. Takes those that are free for a moment. */
export function takenAddressRegisters(tid: number): number {
  const events: PerfEvent[] = [];
  try {
    for (let free = 0; free < registers; free++) {
      const event = takeAddressRegister(tid);
      if (event === undefined) return registers - free;
      events.push(event);
    }
    return 0;
  } finally {
    for (const event of events) event[Symbol.dispose]();
  }
}

/** All of each thread, so that breakpoints have to be written into the code. Throws where somebody has one already. */
export function holdAddressRegisters(pid: number): Disposable {
  const held = readdirSync(`/proc/${pid}/task`).flatMap((tid) =>
    Array.from({ length: registers }, () => {
      const event = takeAddressRegister(Number(tid));
      if (event === undefined) throw new Error(`an address register of thread ${tid} is taken`);
      return event;
    }),
  );
  return {
    [Symbol.dispose]() {
      for (const event of held) event[Symbol.dispose]();
    },
  };
}

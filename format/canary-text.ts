/** What is said of a point that is armed in one process before it is in the others; by agents, and by controllers of what agents tell. */
export interface CanaryState {
  readonly pid: number;
  readonly untilMs: number;
  /** Processes that it is armed in then. */
  readonly waiting: number;
}

export function canaryText({ pid, untilMs, waiting }: CanaryState): string {
  const until = new Date(untilMs).toISOString().replace(/\.\d+Z$/, 'Z');
  return `canary on ${pid} until ${until}, then in ${otherProcesses(waiting)}`;
}

export function otherProcesses(count: number): string {
  return count === 1 ? 'the other process' : `the other ${count} processes`;
}

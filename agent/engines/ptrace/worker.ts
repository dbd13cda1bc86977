/** The tracing thread: blocks in wait4, takes stops at once, and commands when the doorbell rings. See thread.ts. */
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { existsSync } from 'node:fs';
import { StillframeError } from '../../../format/error.js';
import {
  PTRACE_O_EXITKILL,
  WALL,
  WNOTHREAD,
  type WaitResult,
  interrupt,
  resume,
  seize,
  sharpenNaps,
  wait,
} from '../../linux/ptrace.js';
import { copyProcess } from '../fork/copy.js';
import { toWireError } from '../wire-error.js';
import type { Command, Report, ThreadData } from './messages.js';
import { captureNow } from './now.js';
import { Tracees } from './tracees.js';
import { TracedProcess, probeTracing } from './traced-process.js';

function isThreadData(data: unknown): data is ThreadData {
  return typeof data === 'object' && data !== null && 'pid' in data && 'doorbell' in data;
}

const rehearsals = 16;

class TracingLoop {
  readonly #port: MessagePort;
  readonly #doorbell: number;
  readonly #process: TracedProcess;
  readonly #status = Buffer.alloc(4);
  #running = true;
  #rehearsed = false;

  constructor(port: MessagePort, data: ThreadData) {
    this.#port = port;
    this.#doorbell = data.doorbell;
    this.#process = new TracedProcess(data.pid, {
      journal: data.journal,
      doorbell: data.doorbell,
      reports: {
        hit: (pointId, capture) => this.#report({ kind: 'hit', pointId, capture }),
        ended: (pointId, reason) => this.#report({ kind: 'ended', pointId, reason }),
      },
    });
  }

  run(): void {
    sharpenNaps();
    // The doorbell is ours: it may die with this thread.
    seize(this.#doorbell, PTRACE_O_EXITKILL);
    this.#takeCommands();
    while (this.#running) {
      const result = this.#process.next();
      if (result.kind === 'none') this.#checkDoorbell();
      else if (result.tid === this.#doorbell) this.#ring(result);
      else this.#process.handleNext(result);
    }
    this.#process[Symbol.dispose]();
  }

  #report(report: Report): void {
    this.#port.postMessage(report, []);
  }

  /** wait4 was interrupted, or nobody is left to wait for. */
  #checkDoorbell(): void {
    if (!existsSync(`/proc/${this.#doorbell}`)) this.#running = false;
  }

  #ring(result: Exclude<WaitResult, { kind: 'none' }>): void {
    if (result.kind === 'exited') {
      this.#running = false;
      return;
    }
    resume(this.#doorbell, 0);
    this.#takeCommands();
  }

  #takeCommands(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) return;
      this.#take(received.message as Command);
    }
  }

  #take(command: Command): void {
    const { id } = command;
    try {
      this.#report({ kind: 'reply', id, result: this.#execute(command) });
    } catch (error) {
      this.#report({ kind: 'failed', id, error: toWireError(error) });
    }
  }

  #execute(command: Command): unknown {
    switch (command.command) {
      case 'probe':
        return this.#probe();
      case 'now':
        this.#rehearse();
        return this.#process.now(command.request);
      case 'copy':
        this.#rehearse();
        return copyProcess(command.request, new Tracees(command.request.pid));
      case 'arm':
        return this.#process.arm(command.spec);
      case 'disarm':
        return this.#process.disarm(command.pointId);
      case 'stop':
        this.#running = false;
        return undefined;
      default:
        return command satisfies never;
    }
  }

  /** Code that runs for the first time is slow by an order of magnitude; nobody should stand still for that. */
  #rehearse(): void {
    if (this.#rehearsed) return;
    this.#rehearsed = true;
    const request = { pid: this.#doorbell, tids: [], stackBytes: 4096, maxBytes: 4096 };
    const tracees = new Tracees(this.#doorbell);
    tracees.tids.add(this.#doorbell);
    for (let i = 0; i < rehearsals; i++) {
      captureNow(request, {
        tracees,
        goOn: 'continue',
        letGo: (stop) => resume(stop.tid, 0),
        rehearses: i % 2 === 0,
      });
    }
  }

  #probe(): void {
    if (interrupt(this.#doorbell) !== undefined) {
      throw new StillframeError('system', 'cannot interrupt a process of its own');
    }
    wait(this.#doorbell, WALL | WNOTHREAD, this.#status);
    try {
      probeTracing(this.#doorbell);
    } finally {
      resume(this.#doorbell, 0);
    }
  }
}

if (parentPort === null || !isThreadData(workerData)) {
  throw new StillframeError('internal', 'the tracing thread is started by thread.ts');
}
new TracingLoop(parentPort, workerData).run();
parentPort.close();

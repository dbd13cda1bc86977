/** Applies the host's policy to what a session is asked: which programs, which engines. Asks the tracer what a pid is. */
import type { EngineName } from '../../format/capture.js';
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { Policy } from '../policy/policy.js';
import type { TargetProcess, TracerClient } from '../tracer/client.js';

export class Gate {
  readonly policy: Policy;
  readonly #tracer: TracerClient;

  constructor(policy: Policy, tracer: TracerClient) {
    this.policy = policy;
    this.#tracer = tracer;
  }

  /** Throws `denied`. */
  async checkPrograms(pids: readonly number[]): Promise<void> {
    if (!this.policy.restrictsPrograms) return;
    for (const pid of pids) {
      const [target] = await this.#tracer.listTargets(String(pid));
      if (target !== undefined) this.policy.checkProgram(target);
    }
  }

  /** Undefined where the program may be looked into. */
  refusalOf(target: TargetProcess): StillframeError | undefined {
    try {
      this.policy.checkProgram(target);
      return undefined;
    } catch (error) {
      return toStillframeError(error);
    }
  }

  /** With the engine that was asked for; else with the first that the policy allows and that can; else with the tracer's choice. */
  async withEngine<T>(
    asked: EngineName | undefined,
    work: (engine: { readonly engine?: EngineName }) => Promise<T>,
  ): Promise<T> {
    const engines = asked === undefined ? (this.policy.engines ?? [undefined]) : [asked];
    let failure = new StillframeError('denied', 'the policy of this host allows no engine');
    for (const engine of engines) {
      try {
        return await work(engine === undefined ? {} : { engine });
      } catch (error) {
        failure = toStillframeError(error);
        if (failure.code !== 'unsupported' && failure.code !== 'denied') break;
      }
    }
    throw failure;
  }
}

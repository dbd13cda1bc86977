/**
 * What the host's owner allows, whatever a controller asks: which programs, which engines, how much. Read from a JSON file at
 * start; without one, everything that the limits allow. A refusal names the file and the rule.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { engineNames, type EngineName } from '../../format/capture.js';
import { StillframeError, badData } from '../../format/error.js';
import { defaultLimits, type Limits } from '../../format/limits.js';
import type { Plan } from '../../format/plan/plan.js';
import type { LogFileRule } from './log-files.js';
import { patternOf } from './pattern.js';

const percent = z.number().min(0).max(100_000);

const schema = z.strictObject({
  /** Patterns of executable paths, `*` for any characters. A deny goes before an allow; an empty allow list allows all. */
  allow: z.array(z.string()).default([]),
  deny: z.array(z.string()).default([]),
  engines: z.array(z.enum(engineNames)).optional(),
  maxHits: z.int().positive().max(defaultLimits.maxHits).default(defaultLimits.maxHits),
  maxHitBytes: z.int().positive().max(defaultLimits.maxHitBytes).default(defaultLimits.maxHitBytes),
  /** Patterns of files whose lines may be watched, links followed; none unless they are named. Without a policy, all. */
  logFiles: z.array(z.string()).default([]),
  /** Lines a second that a log point may tell in one process; 0 for no log points. Without a policy, as many as anybody may ask. */
  logRate: z.number().nonnegative().max(defaultLimits.maxLogRate).default(0),
  /** False: only planned ranges leave the host, no raw stack windows. */
  rawStack: z.boolean().default(true),
  /**
   * Percent of one CPU that hits may take from the threads that pass: those of one point, and those of all points together. Beyond it a point is suspended.
   * 0: without an end. `most` is what somebody may ask for one point instead of `point`; without, no more than that.
   */
  cpuPercent: z
    .strictObject({ point: percent.default(1), host: percent.default(5), most: percent.optional() })
    .default({ point: 1, host: 5 }),
  /** So many seconds at least a point that covers several processes is armed in one of them before it is in the others. */
  canarySeconds: z.number().min(0).max(86_400).default(0),
  /** Whether whole memory may leave the host, secrets and all. Without a policy, yes. */
  wholeMemory: z.boolean().default(false),
});

/** Percent of one CPU, 0 for no bound. */
export interface CpuRule {
  /** As what says that a point was suspended calls it: `policy "/etc/stillframe.json"`. */
  readonly name: string;
  readonly point: number;
  readonly host: number;
}

export interface Policy {
  /** Whether `checkProgram` can refuse anything. */
  readonly restrictsPrograms: boolean;
  readonly engines: readonly EngineName[] | undefined;
  readonly logFiles: LogFileRule;
  readonly cpu: CpuRule;
  readonly canaryMs: number;
  /** Throws `denied` or `usage`. */
  checkPoint(request: {
    readonly plan: Plan;
    readonly engine?: EngineName;
    readonly maxHits: number;
    /** It tells each hit, without end: `maxHits` says nothing of it, `minIntervalNs` how often. */
    readonly stream?: boolean;
    readonly minIntervalNs?: bigint;
    /** What it wants to take of a CPU, where that is not what every point may. */
    readonly cpuPercent?: number;
    readonly expiresMs: number;
  }): void;
  checkNow(request: { readonly engine?: EngineName; readonly stackBytes: number }): void;
  checkCore(request: { readonly engine?: EngineName }): void;
  checkProgram(program: { readonly pid: number; readonly executable: string }): void;
}

/** Reads a policy file; throws `bad-data` where it does not say what the schema wants, so that a typing error never widens a policy. */
export function readPolicy(path: string): Policy {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw badData(`cannot read policy "${path}": ${error instanceof Error ? error.message : String(error)}`);
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.join('.') ?? '';
    throw badData(
      `cannot read policy "${path}": ${where === '' ? '' : `${where}: `}${issue?.message ?? 'no policy'}`,
    );
  }
  return makePolicy(parsed.data, `policy "${path}"`);
}

export function defaultPolicy(): Policy {
  return makePolicy(
    {
      // One point may ask for all that points may take together.
      ...schema.parse({ wholeMemory: true, logRate: defaultLimits.maxLogRate, cpuPercent: { most: 5 } }),
      logFiles: undefined,
    },
    'the default limits',
  );
}

interface Rules extends Omit<z.infer<typeof schema>, 'logFiles'> {
  readonly logFiles: readonly string[] | undefined;
}

function makePolicy(rules: Rules, name: string, limits: Limits = defaultLimits): Policy {
  const allow = rules.allow.map(patternOf);
  const deny = rules.deny.map(patternOf);
  const denied = (what: string): StillframeError =>
    new StillframeError('denied', `${name} does not allow ${what}`, { hint: "ask the host's owner" });
  const checkEngine = (engine: EngineName | undefined): void => {
    if (engine !== undefined && rules.engines !== undefined && !rules.engines.includes(engine)) {
      throw denied(`engine ${engine} (engines: ${rules.engines.join(', ')})`);
    }
  };
  const checkStack = (stackBytes: number): void => {
    if (stackBytes > 0 && !rules.rawStack) throw denied('raw stack windows (rawStack: false)');
  };
  const checkCpu = (cpuPercent: number): void => {
    const { point, most = point } = rules.cpuPercent;
    if (most > 0 && cpuPercent > most)
      throw denied(`a point ${cpuPercent}% of a CPU (cpuPercent.most: ${most})`);
  };
  const checkLog = (minIntervalNs: bigint): void => {
    const { logRate } = rules;
    if (logRate === 0) throw denied('log points (logRate: 0)');
    const asked = minIntervalNs <= 0n ? Infinity : 1e9 / Number(minIntervalNs);
    // What is as much but for rounding is as much.
    if (asked > logRate * 1.001) {
      const what = Number.isFinite(asked) ? `${Math.ceil(asked)}` : 'any number of';
      throw denied(`${what} log lines a second (logRate: ${logRate})`);
    }
  };
  return {
    restrictsPrograms: allow.length + deny.length > 0,
    engines: rules.engines,
    logFiles: { name, patterns: rules.logFiles },
    cpu: { name, point: rules.cpuPercent.point, host: rules.cpuPercent.host },
    canaryMs: rules.canarySeconds * 1000,
    checkPoint({ plan, engine, maxHits, expiresMs, stream, minIntervalNs = 0n, cpuPercent = 0 }) {
      checkEngine(engine);
      checkCpu(cpuPercent);
      checkStack(plan.stackBytes);
      if (stream === true) checkLog(minIntervalNs);
      if (maxHits < 1 || maxHits > rules.maxHits) throw denied(`${maxHits} hits (1 to ${rules.maxHits})`);
      if (plan.maxBytes > rules.maxHitBytes) {
        throw denied(`${plan.maxBytes} bytes a hit (maxHitBytes: ${rules.maxHitBytes})`);
      }
      if (expiresMs - Date.now() > limits.maxExpiryMs) throw denied('an expiry beyond 30 days');
    },
    checkNow({ engine, stackBytes }) {
      checkEngine(engine);
      checkStack(stackBytes);
    },
    checkCore({ engine }) {
      checkEngine(engine);
      if (!rules.wholeMemory) throw denied('whole memory (wholeMemory: false)');
      checkStack(1);
    },
    checkProgram({ pid, executable }) {
      const denying = rules.deny.find((_, i) => deny[i]?.test(executable));
      if (denying !== undefined) throw denied(`"${executable}" (process ${pid}; deny: "${denying}")`);
      if (allow.length > 0 && !allow.some((pattern) => pattern.test(executable))) {
        throw denied(`"${executable}" (process ${pid}; not in allow)`);
      }
    },
  };
}

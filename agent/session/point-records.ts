/**
 * Points on disk, so that an agent that was killed or upgraded arms them again: `points/ID.json` beside the spool, written whole
 * or not at all. A point that ended is kept for as long as it is listed: whoever arms it again, not having heard of its end, must not get its hits
 * a second time.
 */
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { engineNames } from '../../format/capture.js';
import { badData, withContext } from '../../format/error.js';
import { isPointIdentifier } from '../../format/identifier.js';
import { termsPart, type PointTerms } from '../../format/point-terms.js';
import { decodePlan, encodePlan } from '../../format/plan/encode.js';
import { verifyPlan } from '../../format/plan/verify.js';
import type { Canary } from './canary.js';
import type { ProcessDelivered, ProcessKey } from './delivered.js';
import type { PointEnding, PointRequest } from './point.js';
import { syncFolder, writeDurably } from './spool.js';

export interface PointRecord {
  /** Its pids are those that were asked for. */
  readonly request: PointRequest;
  /** Where it is armed, and which processes have delivered hits. */
  readonly processes: readonly RecordedProcess[];
  /** By all of them, those that are gone included. */
  readonly delivered: number;
  /** How many agents have armed it again. */
  readonly restores: number;
  readonly canary?: Canary;
  /** Undefined while it lives. */
  readonly ended?: {
    readonly phase: 'ended' | 'failed';
    readonly end: PointEnding;
    readonly detail: string;
  };
}

export interface RecordedProcess extends ProcessDelivered {
  readonly armed: boolean;
}

const endings = ['hits', 'expired', 'removed', 'target-gone', 'failed'] as const satisfies PointEnding[];

const processKey = { pid: z.int().positive(), startTicks: z.string().regex(/^\d+$/) };

/** What is optional was not written by the first agents. */
const schema = z.strictObject({
  version: z.literal(1),
  id: z.string().refine(isPointIdentifier),
  processes: z.array(
    z.strictObject({
      pid: z.int().positive(),
      startTicks: z.string().regex(/^\d+$/),
      delivered: z.int().nonnegative().optional(),
      armed: z.boolean().optional(),
    }),
  ),
  selector: z.string(),
  plan: z.base64(),
  engine: z.enum(engineNames).optional(),
  maxHits: z.int().positive(),
  everyProcess: z.boolean(),
  minIntervalNs: z.string().regex(/^\d+$/),
  expiresMs: z.int(),
  delivered: z.int().nonnegative(),
  restores: z.int().nonnegative(),
  countOnly: z.boolean().default(false),
  owner: z.string().default(''),
  note: z.string().default(''),
  whileConnected: z.boolean().default(false),
  stream: z.boolean().default(false),
  terms: z
    .strictObject({
      canaryMs: z.int().nonnegative().optional(),
      cpuPercent: z.number().positive().optional(),
      allThreads: z.boolean().optional(),
    })
    .default({}),
  canary: z
    .strictObject({
      ...processKey,
      untilMs: z.int(),
      rest: z.array(z.strictObject(processKey)),
    })
    .optional(),
  ended: z
    .strictObject({ phase: z.enum(['ended', 'failed']), end: z.enum(endings), detail: z.string() })
    .optional(),
});

export class PointRecords {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    } catch (error) {
      throw withContext(`cannot keep points in "${folder}"`, error);
    }
  }

  /** Durable when it returns. */
  put(record: PointRecord): void {
    const { request, processes, delivered, restores, ended, canary } = record;
    if (!isPointIdentifier(request.id)) return;
    const json: z.input<typeof schema> = {
      version: 1,
      id: request.id,
      processes: processes.map((process) => ({ ...process, startTicks: String(process.startTicks) })),
      selector: request.selector,
      plan: Buffer.from(encodePlan(request.plan)).toString('base64'),
      ...(request.engine === undefined ? {} : { engine: request.engine }),
      maxHits: request.maxHits,
      everyProcess: request.everyProcess,
      minIntervalNs: String(request.minIntervalNs),
      expiresMs: request.expiresMs,
      delivered,
      restores,
      countOnly: request.countOnly,
      owner: request.owner,
      note: request.note,
      whileConnected: request.whileConnected === true,
      stream: request.stream === true,
      terms: request.terms ?? {},
      ...(canary === undefined
        ? {}
        : { canary: { ...keyText(canary), untilMs: canary.untilMs, rest: canary.rest.map(keyText) } }),
      ...(ended === undefined ? {} : { ended }),
    };
    const path = join(this.#folder, `${request.id}.json`);
    writeDurably(`${path}.new`, [Buffer.from(JSON.stringify(json))]);
    renameSync(`${path}.new`, path);
    syncFolder(this.#folder);
  }

  remove(id: string): void {
    if (isPointIdentifier(id)) rmSync(join(this.#folder, `${id}.json`), { force: true });
  }

  /** Those that can be read; what cannot be read is left out and removed. */
  list(): readonly PointRecord[] {
    const records: PointRecord[] = [];
    for (const file of readdirSync(this.#folder).toSorted()) {
      const path = join(this.#folder, file);
      try {
        // Killed before it was moved into place: what lies there says as much as anybody was told.
        if (file.endsWith('.new')) throw badData(`"${file}" was not finished`);
        records.push(parse(readFileSync(path, 'utf8')));
      } catch {
        rmSync(path, { force: true });
      }
    }
    return records;
  }
}

/** Without what is undefined. */
function termsFrom({ canaryMs, cpuPercent, allThreads }: z.infer<typeof schema>['terms']): PointTerms {
  return {
    ...(canaryMs === undefined ? {} : { canaryMs }),
    ...(cpuPercent === undefined ? {} : { cpuPercent }),
    ...(allThreads === undefined ? {} : { allThreads }),
  };
}

const keyText = ({ pid, startTicks }: ProcessKey): { pid: number; startTicks: string } => ({
  pid,
  startTicks: String(startTicks),
});

const keyFrom = ({ pid, startTicks }: { pid: number; startTicks: string }): ProcessKey => ({
  pid,
  startTicks: BigInt(startTicks),
});

function parse(text: string): PointRecord {
  const json = schema.parse(JSON.parse(text));
  const plan = decodePlan(Buffer.from(json.plan, 'base64'));
  verifyPlan(plan);
  return {
    request: {
      id: json.id,
      pids: json.processes.map(({ pid }) => pid),
      selector: json.selector,
      plan,
      ...(json.engine === undefined ? {} : { engine: json.engine }),
      maxHits: json.maxHits,
      everyProcess: json.everyProcess,
      minIntervalNs: BigInt(json.minIntervalNs),
      expiresMs: json.expiresMs,
      countOnly: json.countOnly,
      owner: json.owner,
      note: json.note,
      whileConnected: json.whileConnected,
      ...(json.stream ? { stream: true } : {}),
      ...termsPart(termsFrom(json.terms)),
    },
    processes: json.processes.map(({ pid, startTicks, delivered = 0, armed = true }) => ({
      pid,
      startTicks: BigInt(startTicks),
      delivered,
      armed,
    })),
    delivered: json.delivered,
    restores: json.restores,
    ...(json.canary === undefined
      ? {}
      : {
          canary: {
            ...keyFrom(json.canary),
            untilMs: json.canary.untilMs,
            rest: json.canary.rest.map(keyFrom),
          },
        }),
    ...(json.ended === undefined ? {} : { ended: json.ended }),
  };
}

/**
 * Points on disk, so that an agent that was killed or upgraded arms them again: `points/ID.json` beside the spool, written whole
 * or not at all, removed when the point ends.
 */
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { engineNames } from '../../format/capture.js';
import { withContext } from '../../format/error.js';
import { isIdentifier } from '../../format/identifier.js';
import { decodePlan, encodePlan } from '../../format/plan/encode.js';
import { verifyPlan } from '../../format/plan/verify.js';
import type { PointRequest } from './point.js';
import { writeDurably } from './spool.js';

export interface PointRecord {
  readonly request: PointRequest;
  /** When each process started, in clock ticks since boot: a pid alone may mean another process by now. */
  readonly startTicks: ReadonlyMap<number, bigint>;
  readonly delivered: number;
  /** How many agents have armed it again. */
  readonly restores: number;
}

const schema = z.strictObject({
  version: z.literal(1),
  id: z.string().refine(isIdentifier),
  processes: z.array(z.strictObject({ pid: z.int().positive(), startTicks: z.string().regex(/^\d+$/) })),
  selector: z.string(),
  plan: z.base64(),
  engine: z.enum(engineNames).optional(),
  maxHits: z.int().positive(),
  everyProcess: z.boolean(),
  minIntervalNs: z.string().regex(/^\d+$/),
  expiresMs: z.int(),
  delivered: z.int().nonnegative(),
  restores: z.int().nonnegative(),
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
    const { request, delivered, restores } = record;
    if (!isIdentifier(request.id)) return;
    const json: z.input<typeof schema> = {
      version: 1,
      id: request.id,
      processes: [...record.startTicks].map(([pid, ticks]) => ({ pid, startTicks: String(ticks) })),
      selector: request.selector,
      plan: Buffer.from(encodePlan(request.plan)).toString('base64'),
      ...(request.engine === undefined ? {} : { engine: request.engine }),
      maxHits: request.maxHits,
      everyProcess: request.everyProcess,
      minIntervalNs: String(request.minIntervalNs),
      expiresMs: request.expiresMs,
      delivered,
      restores,
    };
    const path = join(this.#folder, `${request.id}.json`);
    writeDurably(`${path}.new`, [Buffer.from(JSON.stringify(json))]);
    renameSync(`${path}.new`, path);
  }

  remove(id: string): void {
    if (isIdentifier(id)) rmSync(join(this.#folder, `${id}.json`), { force: true });
  }

  /** Those that can be read; what cannot be read is left out and removed. */
  list(): readonly PointRecord[] {
    const records: PointRecord[] = [];
    for (const file of readdirSync(this.#folder)) {
      const path = join(this.#folder, file);
      try {
        records.push(parse(readFileSync(path, 'utf8')));
      } catch {
        rmSync(path, { force: true });
      }
    }
    return records;
  }
}

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
    },
    startTicks: new Map(json.processes.map(({ pid, startTicks }) => [pid, BigInt(startTicks)])),
    delivered: json.delivered,
    restores: json.restores,
  };
}

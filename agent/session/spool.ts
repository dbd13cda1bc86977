/**
 * Snapshots that no controller has acknowledged yet: `ID.core` with `ID.json` beside it, in one folder. A pair appears whole or not
 * at all, survives kill -9, and stays until it is acknowledged. The folder is bounded in bytes: a full spool refuses
 * new snapshots and never drops old ones.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { StillframeError, withContext } from '../../format/error.js';
import { isIdentifier } from '../../format/identifier.js';

export interface SpooledSnapshot {
  readonly version: 1;
  readonly id: string;
  /** Empty for "now". */
  readonly point: string;
  /** Of the core file. */
  readonly size: number;
  readonly sha256: string;
  /** Undefined for "now", and for what an older agent left. */
  readonly delivery?: Delivery;
}

/**
 * Which hit of its point a snapshot is. It appears on disk together with the snapshot, so that an agent which is killed before it has written
 * down the point leaves behind that this hit was taken.
 */
export interface Delivery {
  /** Hits that the point had delivered with this one. */
  readonly delivered: number;
  readonly pid: number;
  readonly startTicks: bigint;
  /** Hits that this process had delivered of the point with this one. */
  readonly ofProcess: number;
}

const sidecar: z.ZodType<SpooledSnapshot> = z
  .strictObject({
    version: z.literal(1),
    id: z.string().refine(isIdentifier),
    point: z.string(),
    size: z.int().nonnegative(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    delivery: z
      .strictObject({
        delivered: z.int().positive(),
        pid: z.int().positive(),
        startTicks: z.string().regex(/^\d+$/).transform(BigInt),
        ofProcess: z.int().positive(),
      })
      .optional(),
  })
  .transform(({ delivery, ...rest }) => ({ ...rest, ...(delivery === undefined ? {} : { delivery }) }));

function renderSidecar({ delivery, ...rest }: SpooledSnapshot): string {
  const json =
    delivery === undefined
      ? rest
      : { ...rest, delivery: { ...delivery, startTicks: String(delivery.startTicks) } };
  return JSON.stringify(json);
}

export interface SpoolOptions {
  readonly folder: string;
  readonly maxBytes: number;
}

export interface SpoolPlace extends Disposable {
  /** To be created. */
  readonly file: string;
  /** What the disk has room for, with some left. */
  readonly freeBytes: number;
  /** The file is whole. NB: it is not waited for until it is on disk: a host that crashes has lost the process, too. */
  keep(): Promise<SpooledSnapshot>;
}

const leastPlaceBytes = 16 * 1024 * 1024;

/** A tenth stays for others. */
function freeBytesOf(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return Math.floor(bavail * bsize * 0.9);
}

const hashedBytes = 4 * 1024 * 1024;

async function hashFile(path: string): Promise<{ readonly size: number; readonly sha256: string }> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: hashedBytes })) {
    const bytes: unknown = chunk;
    if (!(bytes instanceof Uint8Array)) throw new StillframeError('internal', `"${path}" was read as text`);
    hash.update(bytes);
    size += bytes.length;
  }
  return { size, sha256: hash.digest('hex') };
}

export const defaultSpoolBytes: number = 1024 ** 3;

export class Spool {
  readonly #folder: string;
  readonly #maxBytes: number;
  readonly #entries = new Map<string, SpooledSnapshot>();

  /** Reads what an earlier agent left; finishes or removes what it did not finish. */
  constructor(options: SpoolOptions) {
    this.#folder = options.folder;
    this.#maxBytes = options.maxBytes;
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      this.#finish();
      this.#load();
    } catch (error) {
      throw withContext(`cannot open the spool "${this.#folder}"`, error);
    }
  }

  /** Durable when it returns. Throws `limit` when the spool is full. */
  put(snapshot: {
    readonly id: string;
    readonly point: string;
    readonly core: readonly Uint8Array[];
    readonly delivery?: Delivery;
  }): SpooledSnapshot {
    const { id, point, core, delivery } = snapshot;
    const size = core.reduce((sum, piece) => sum + piece.length, 0);
    if (!this.hasRoom(size)) {
      throw new StillframeError(
        'limit',
        `cannot spool snapshot ${id}: ${size} bytes do not fit, ${this.bytes} of ${this.#maxBytes} are taken`,
        { hint: 'a controller must fetch and acknowledge what waits there: `stillframe snapshots`' },
      );
    }
    const hash = createHash('sha256');
    for (const piece of core) hash.update(piece);
    const entry: SpooledSnapshot = {
      version: 1,
      id,
      point,
      size,
      sha256: hash.digest('hex'),
      ...(delivery === undefined ? {} : { delivery }),
    };
    const names = this.#names(id);
    writeDurably(names.newCore, core);
    writeDurably(names.newSidecar, [Buffer.from(renderSidecar(entry))]);
    renameSync(names.newCore, names.core);
    renameSync(names.newSidecar, names.sidecar);
    syncFolder(this.#folder);
    this.#entries.set(id, entry);
    return entry;
  }

  hasRoom(bytes: number): boolean {
    return this.bytes + bytes <= this.#maxBytes;
  }

  /**
   * A place for the core of a snapshot that somebody else writes. It is bounded by the disk and not by what the spool may hold: whoever asked for it
   * waits, and takes it away. Throws `limit` when the disk is as good as full.
   */
  makePlace(id: string): SpoolPlace {
    const names = this.#names(id);
    const freeBytes = freeBytesOf(this.#folder);
    if (freeBytes < leastPlaceBytes) {
      throw new StillframeError('limit', `cannot spool a core: the disk of "${this.#folder}" is full`, {
        hint: 'another folder for the spool: stillframe agent --spool',
      });
    }
    return {
      file: names.newCore,
      freeBytes,
      keep: async () => {
        const { size, sha256 } = await hashFile(names.newCore);
        const entry: SpooledSnapshot = { version: 1, id, point: '', size, sha256 };
        writeDurably(names.newSidecar, [Buffer.from(renderSidecar(entry))]);
        renameSync(names.newCore, names.core);
        renameSync(names.newSidecar, names.sidecar);
        this.#entries.set(id, entry);
        return entry;
      },
      [Symbol.dispose]: () => rmSync(names.newCore, { force: true }),
    };
  }

  /** In the order of time. */
  list(): readonly SpooledSnapshot[] {
    return [...this.#entries.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** The hits of a point whose snapshots wait here. */
  deliveries(point: string): readonly Delivery[] {
    return [...this.#entries.values()].flatMap((entry) =>
      entry.point === point && entry.delivery !== undefined ? [entry.delivery] : [],
    );
  }

  get bytes(): number {
    let sum = 0;
    for (const entry of this.#entries.values()) sum += entry.size;
    return sum;
  }

  /** Where the core lies until it is acknowledged; undefined when it was already. */
  pathOf(id: string): string | undefined {
    return this.#entries.has(id) ? this.#names(id).core : undefined;
  }

  /** Idempotent. */
  remove(id: string): void {
    if (!this.#entries.delete(id)) return;
    const names = this.#names(id);
    // The sidecar first: a core without one is not announced again.
    rmSync(names.sidecar, { force: true });
    rmSync(names.core, { force: true });
  }

  #names(id: string): { core: string; sidecar: string; newCore: string; newSidecar: string } {
    const path = join(this.#folder, id);
    return {
      core: `${path}.core`,
      sidecar: `${path}.json`,
      newCore: `${path}.core.new`,
      newSidecar: `${path}.json.new`,
    };
  }

  /** The core is renamed before its sidecar, and both are on disk before: so a core in place means that the new sidecar is whole. */
  #finish(): void {
    const files = new Set(readdirSync(this.#folder));
    for (const file of files) {
      const id = /^(\w+)\.(?:core|json)\.new$/.exec(file)?.[1];
      if (id === undefined || !isIdentifier(id)) continue;
      const names = this.#names(id);
      if (file.endsWith('.json.new') && files.has(`${id}.core`)) renameSync(names.newSidecar, names.sidecar);
      else rmSync(join(this.#folder, file), { force: true });
    }
  }

  #load(): void {
    const files = new Set(readdirSync(this.#folder));
    for (const file of files) {
      if (file.endsWith('.core') && !files.has(file.replace(/core$/, 'json'))) {
        // Its sidecar was removed: it was acknowledged.
        if (isIdentifier(file.slice(0, -'.core'.length))) rmSync(join(this.#folder, file), { force: true });
        continue;
      }
      if (!file.endsWith('.json')) continue;
      const parsed = sidecar.safeParse(parseJson(join(this.#folder, file)));
      if (!parsed.success || `${parsed.data.id}.json` !== file) continue;
      const status = statSync(this.#names(parsed.data.id).core, { throwIfNoEntry: false });
      if (status?.size === parsed.data.size) this.#entries.set(parsed.data.id, parsed.data);
    }
  }
}

function parseJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Writes a file of its own and waits until it is on disk. */
export function writeDurably(path: string, pieces: readonly Uint8Array[]): void {
  const fd = openSync(path, 'w', 0o600);
  try {
    for (const piece of pieces) {
      for (let done = 0; done < piece.length;) done += writeSync(fd, piece, done);
    }
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

export function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

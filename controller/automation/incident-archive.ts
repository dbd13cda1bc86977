/**
 * An incident as a .tar.gz for a colleague: the document, a timeline to read, every snapshot as the core file that it is, and how to open
 * them without us. It is made while it is read: no more than a piece of it is ever in memory. The same incident gives the same bytes.
 */
import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline as connect, Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { pack as makePack, type Pack } from 'tar-stream';
import { StillframeError, toStillframeError, withContext } from '../../format/error.js';
import type { SnapshotDocument } from '../snapshot/document.js';
import type { SnapshotRecord } from '../store/store.js';
import type { IncidentDocument } from './incident.js';
import { readmeText, type ReadmeSnapshot } from './incident-readme.js';
import type { IncidentSnapshots } from './incident-snapshots.js';
import { timelineText } from './incident-timeline.js';

export interface ArchiveOptions {
  readonly document: () => Promise<IncidentDocument>;
  /** Asked after the document: what came since is left out, so that the archive is of one moment. */
  readonly listSnapshots: () => readonly SnapshotRecord[];
  readonly pathOf: (snapshot: SnapshotRecord) => string;
  readonly reader: IncidentSnapshots;
  readonly renderSnapshot?: (document: SnapshotDocument) => string;
}

const fileMode = 0o600;
const readBytes = 256 * 1024;

/** Fails with the first error, as streams do. To be destroyed when nobody wants the rest. */
export function makeArchive(options: ArchiveOptions): Readable {
  const pack = makePack();
  const archive = createGzip();
  // NB: without a listener an error that nobody waits for ends the process; whoever reads has one of their own.
  archive.on('error', () => undefined);
  connect(Readable.from(pack), archive, () => undefined);
  fill(pack, options).catch((thrown: unknown) => pack.destroy(toStillframeError(thrown)));
  return archive;
}

async function fill(pack: Pack, options: ArchiveOptions): Promise<void> {
  const document = await options.document();
  const wanted = new Set(document.groups.flatMap(({ snapshots }) => snapshots));
  const snapshots = options.listSnapshots().filter(({ id }) => wanted.has(id));
  const mtime = new Date(document.started);
  await addText(pack, 'incident.json', `${JSON.stringify(document, undefined, 2)}\n`, mtime);
  await addText(pack, 'timeline.txt', timelineText(document), mtime);
  using _held = options.reader.hold();
  const told: ReadmeSnapshot[] = [];
  for (const snapshot of snapshots) told.push(await addSnapshot(pack, snapshot, options));
  await addText(pack, 'README.md', readmeText(document, told), mtime);
  pack.finalize();
}

async function addSnapshot(
  pack: Pack,
  snapshot: SnapshotRecord,
  options: ArchiveOptions,
): Promise<ReadmeSnapshot> {
  const name = `snapshots/${snapshot.id}`;
  const mtime = new Date(Number(snapshot.timeNs / 1_000_000n));
  const path = options.pathOf(snapshot);
  const missing = whyMissing(path, snapshot.size);
  if (missing === undefined) {
    await addEntry(pack, { name: `${name}.core`, size: snapshot.size, mtime }, createCoreStream(path));
  }
  const read = await options.reader.show(snapshot, { id: snapshot.id, allThreads: snapshot.point === '' });
  const { modulePath, buildId, timeNs } = snapshot;
  const facts = { id: snapshot.id, timeNs, buildId, executable: modulePath };
  if ('error' in read) return { ...facts, ...(missing === undefined ? {} : { missing }), unread: read.error };
  const { document, executable = modulePath } = read.value;
  await addText(pack, `${name}.json`, `${JSON.stringify(document, undefined, 2)}\n`, mtime);
  if (options.renderSnapshot !== undefined) {
    await addText(pack, `${name}.txt`, `${options.renderSnapshot(document)}\n`, mtime);
  }
  return { ...facts, executable, ...(missing === undefined ? {} : { missing }) };
}

/** NB: an entry has the length that its head says, or the whole archive is spoilt: so this is looked at before. */
function whyMissing(path: string, size: number): string | undefined {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 'its core file is not in the store any more';
  return found.size === size ? undefined : `its core file has ${found.size} bytes and should have ${size}`;
}

function createCoreStream(path: string): Readable {
  return createReadStream(path, { highWaterMark: readBytes });
}

async function addText(pack: Pack, name: string, text: string, mtime: Date): Promise<void> {
  const bytes = Buffer.from(text);
  await addEntry(pack, { name, size: bytes.length, mtime }, Readable.from([bytes]));
}

interface EntryHead {
  readonly name: string;
  readonly size: number;
  readonly mtime: Date;
}

/** Throws when the archive is not wanted any more. */
async function addEntry(pack: Pack, head: EntryHead, content: Readable): Promise<void> {
  if (pack.destroyed)
    throw new StillframeError('system', 'cannot make the archive: nobody reads it any more');
  await pipeline(content, pack.entry({ ...head, mode: fileMode, uid: 0, gid: 0 }));
}

/** Beside and then into place, for nobody is to take half of it for the whole; gives its size. Removes what it wrote when it fails. */
export async function writeArchive(archive: Readable, file: string): Promise<number> {
  const scratch = join(dirname(file), `.${randomBytes(6).toString('hex')}.partial`);
  try {
    await pipeline(archive, createWriteStream(scratch, { flags: 'wx', mode: fileMode }));
    await syncFile(scratch);
    const { size } = statSync(scratch);
    await rename(scratch, file);
    await syncFile(dirname(file));
    return size;
  } catch (thrown) {
    archive.destroy();
    await rm(scratch, { force: true });
    if (thrown instanceof StillframeError) throw withContext(`cannot write "${file}"`, thrown);
    const { message } = toStillframeError(thrown);
    throw new StillframeError('system', `cannot write "${file}": ${message}`, {
      detail: { file },
      cause: thrown,
    });
  }
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

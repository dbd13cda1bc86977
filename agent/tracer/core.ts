/** A whole core of a process: copied by the `fork` engine, chosen, written, and the copy gone again. */
import type { EngineName, ProcessFacts } from '../../format/capture.js';
import { describeCore, layoutCore } from '../../format/core/write.js';
import type { CopiedProcess } from '../engines/engine.js';
import { PageMap } from '../linux/pagemap.js';
import { checkAwaited } from './abandoned.js';
import { writeCoreFile, type CoreProgress } from './core-file.js';
import { chooseMemory } from './core-memory.js';
import { makeHeading } from './heading.js';

export interface CoreOrder {
  readonly pid: number;
  readonly engine?: EngineName;
  /** Of memory, holes included. */
  readonly maxBytes: number;
  /** Where to write it; nothing is there yet. */
  readonly file: string;
  /** The id that it gets as a snapshot. */
  readonly snapshot: string;
  readonly host: string;
}

export interface MadeCore {
  readonly engine: EngineName;
  readonly size: number;
  readonly storedBytes: number;
  /** How long threads of the process stood still, and how much of it making the copy took. */
  readonly stoppedNs: number;
  readonly copyNs: number;
  readonly writeMs: number;
}

const pageBytes = 4096;

export interface CoreSource {
  readonly copied: CopiedProcess;
  readonly facts: ProcessFacts;
  /** Aborted: nobody waits for it any more, and no file is left. */
  readonly signal?: AbortSignal | undefined;
}

export async function writeCopiedCore(
  order: CoreOrder,
  { copied, facts, signal }: CoreSource,
  progress: CoreProgress,
): Promise<MadeCore> {
  using ofCopy = new PageMap(copied.pid);
  using ofProcess = new PageMap(order.pid);
  const { pieces, missing } = chooseMemory({
    mappings: copied.mappings,
    threads: copied.capture.threads,
    maxBytes: order.maxBytes,
    wanted: facts.ranges.map(({ address, bytes }) => ({ address, length: bytes.length })),
    runs: ({ start, end, permissions }, kind, joined) =>
      (permissions[3] === 's' ? ofProcess : ofCopy).runs(start, end, kind, joined),
  });
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const capture = {
    ...copied.capture,
    missing: [...copied.capture.missing, ...missing],
    cost: { ...copied.capture.cost, bytes },
  };
  const { snapshot, host } = order;
  const ofCore = { ...facts, mappings: copied.mappings, ranges: [] };
  const heading = makeHeading({ capture, facts }, { snapshot, point: '', host });
  const content = { heading, facts: ofCore, capture };
  const note = describeCore(
    content,
    pieces.map(({ address, length, provenance, path }) => ({ address, length, provenance, path })),
  );
  const segments = pieces.map(({ address, length, permissions }) => ({ address, size: length, permissions }));
  const layout = layoutCore(content, { note, segments, alignment: pageBytes });
  const checkStay = (): void => {
    checkAwaited(signal);
    copied.checkStay();
  };
  const { storedBytes, durationMs } = await writeCoreFile(
    order.file,
    { ...layout, pieces, pid: copied.pid, checkStay },
    progress,
  );
  return {
    engine: capture.engine,
    size: layout.size,
    storedBytes,
    stoppedNs: capture.cost.stoppedNs,
    copyNs: copied.copyNs,
    writeMs: durationMs,
  };
}

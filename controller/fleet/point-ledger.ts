/**
 * What a point keeper writes down and reads back: states and reasons of points, their armings, and the documents of both. What happens in
 * one moment is one transaction; what decides something is written before anything follows from it, the rest soon.
 */
import type { PointDocument } from '../service/documents.js';
import { isOfFleet, type PointRecord, type PointUpdate, type Store } from '../store/store.js';
import type { AgentStatus } from './fleet.js';
import { statusText, type KeptPoint, type Place } from './kept-point.js';
import { activeText, documentOf, documentOfRecord, endedText } from './point-document.js';
import { WriteTogether } from './write-together.js';

export interface PointLedgerOptions {
  readonly store: Store;
  readonly statuses: () => readonly AgentStatus[];
  /** For what decides nothing: a disk that is full costs what would be written, and not the controller its life. */
  readonly failed: (error: unknown) => void;
}

const maxPast = 10_000;

export class PointLedger implements Disposable {
  readonly #options: PointLedgerOptions;
  readonly #together: WriteTogether;
  /** Documents of points that are over and gone everywhere. */
  readonly #past = new Map<string, PointDocument>();
  readonly #unwritten = new Set<KeptPoint>();
  #writing: NodeJS.Immediate | undefined;
  #statuses: readonly AgentStatus[] | undefined;
  #closed = false;

  constructor(options: PointLedgerOptions) {
    this.#options = options;
    this.#together = new WriteTogether((places) => this.#writePlaces(places));
  }

  /** Its state is written soon, where it is another. */
  changed(point: KeptPoint): void {
    if (this.#closed) return;
    this.#unwritten.add(point);
    this.#writing ??= setImmediate(() => {
      this.#writing = undefined;
      const changed = [...this.#unwritten].filter(({ phase, written }) => !written.startsWith(`${phase} `));
      this.#unwritten.clear();
      this.#tryTo(() => this.writeStatuses(changed));
    });
  }

  /** Durable when it returns. */
  writeStatuses(points: Iterable<KeptPoint>): void {
    if (this.#closed) return;
    const texts = new Map<KeptPoint, string>();
    const updates: PointUpdate[] = [];
    for (const point of points) {
      const { id, phase } = point;
      const why = point.active ? this.whyOf(point) : endedText(point);
      if (statusText(phase, why) === point.written) continue;
      texts.set(point, statusText(phase, why));
      const end = point.ending?.end;
      updates.push({ id, phase, why, ...(end === undefined ? {} : { end }) });
    }
    if (updates.length > 0) this.#options.store.updatePoints(updates);
    for (const [point, text] of texts) point.written = text;
  }

  /** Resolves when its armings are durable. */
  writePlace(place: Place): Promise<void> {
    return this.#together.write(place);
  }

  /** Counters and lines that changed. */
  writeChanges(points: readonly KeptPoint[]): void {
    this.#tryTo(() => {
      this.#writePlaces(points.flatMap((point) => [...point.places.values()]).filter(({ dirty }) => dirty));
      this.writeStatuses(points);
    });
  }

  /** Why an active point has not fired. */
  whyOf(point: KeptPoint): string {
    return activeText(point, this.#allStatuses());
  }

  document(point: KeptPoint): PointDocument {
    return documentOf(point, this.#allStatuses());
  }

  /** One of a fleet that is not in memory is over for good, and its document with it: there may be many. */
  documentOfRecord(record: PointRecord): PointDocument {
    const known = this.#past.get(record.id);
    if (known !== undefined) return known;
    const { store } = this.#options;
    const count = store.countSnapshots(record.id);
    if (!isOfFleet(record)) return documentOfRecord(record, [], count);
    const document = documentOfRecord(record, store.listArmings(record.id), count);
    if (this.#past.size >= maxPast) this.#past.clear();
    this.#past.set(record.id, document);
    return document;
  }

  /** It is not over after all, or more came of it. */
  forgetDocument(id: string): void {
    this.#past.delete(id);
  }

  /** An agent came or went. */
  agentsChanged(): void {
    this.#statuses = undefined;
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearImmediate(this.#writing);
    this.#together[Symbol.dispose]();
  }

  /** A fleet is asked once for what a thousand points say at the same time. */
  #allStatuses(): readonly AgentStatus[] {
    if (this.#statuses === undefined) {
      this.#statuses = this.#options.statuses();
      setImmediate(() => this.agentsChanged());
    }
    return this.#statuses;
  }

  #writePlaces(places: readonly Place[]): void {
    if (this.#closed || places.length === 0) return;
    this.#options.store.putArmings(places.flatMap((place) => place.records()));
    for (const place of places) place.dirty = false;
  }

  #tryTo(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!this.#closed) this.#options.failed(error);
    }
  }
}

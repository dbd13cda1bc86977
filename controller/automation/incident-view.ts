/** What faces ask of incidents: the list, one as a document, and all of it as an archive. */
import type { Readable } from 'node:stream';
import { pointOfArming } from '../../format/identifier.js';
import type { Points } from '../fleet/points.js';
import type { ControllerApi, Exported, IncidentFilter } from '../service/controller-api.js';
import type { PointDocument } from '../service/documents.js';
import type { SnapshotDocument } from '../snapshot/document.js';
import type { PointRecord, SnapshotRecord, Store } from '../store/store.js';
import type { IncidentDocument, IncidentSummary } from './incident.js';
import { makeArchive, writeArchive } from './incident-archive.js';
import { countStacks, groupByStack, type StackGroups } from './incident-groups.js';
import { IncidentSnapshots, isUnreadable } from './incident-snapshots.js';
import type { IncidentRecord, IncidentStore } from './incident-store.js';
import { timelineOf, timeText } from './incident-timeline.js';
import type { SymbolAnswers } from '../service/symbol-answers.js';

export interface IncidentViewOptions {
  readonly store: Pick<Store, 'pathOf' | 'findSnapshot'>;
  readonly incidents: IncidentStore;
  /** How points stand now; without it, as they stood when they were last written down. */
  readonly points?: Pick<Points, 'list'>;
  readonly symbols: SymbolAnswers;
  /** A snapshot as text, for archives; without it they have the document only. */
  readonly renderSnapshot?: (document: SnapshotDocument) => string;
}

/** Each reads what is new since the last; while snapshots come faster than that, the next document has them. */
const maxRounds = 8;

export class IncidentView implements Pick<ControllerApi, 'incidents' | 'incident' | 'exportIncident'> {
  readonly #options: IncidentViewOptions;
  /** Shared with who reads snapshots of incidents beside: one at a time, whoever asks. */
  readonly snapshots: IncidentSnapshots;

  constructor(options: IncidentViewOptions) {
    this.#options = options;
    this.snapshots = new IncidentSnapshots(options);
  }

  /** Oldest first. */
  async incidents(filter: IncidentFilter): Promise<readonly IncidentSummary[]> {
    const records = this.#options.incidents.listIncidents(filter);
    const summaries: IncidentSummary[] = [];
    for (const record of records) summaries.push(await this.#summary(record));
    return summaries;
  }

  /** What a list says of it. */
  async summary(reference: string): Promise<IncidentSummary> {
    return await this.#summary(this.#options.incidents.findIncident(reference));
  }

  /** By id, prefix or `last`. */
  async incident(reference: string): Promise<IncidentDocument> {
    const { incidents } = this.#options;
    const { id } = incidents.findIncident(reference);
    const { snapshots, groups, stacks } = await this.#grouped(id);
    // NB: reading the stacks took a while: everything that changes is read after it, at once.
    return {
      ...headOf(incidents.findIncident(id), snapshots.length, stacks),
      timeline: timelineOf(incidents.listEvents(id), snapshots),
      points: this.#points(id, snapshots),
      groups,
    };
  }

  /** With those that came while stacks were read, or a document could say that all is over and lack the last ones. */
  async #grouped(id: string): Promise<StackGroups & { readonly snapshots: readonly SnapshotRecord[] }> {
    const { incidents } = this.#options;
    for (let round = 1; ; round++) {
      const snapshots = incidents.listSnapshots(id);
      const grouped = await groupByStack(this.snapshots, snapshots);
      if (round === maxRounds || incidents.listSnapshots(id).length === snapshots.length)
        return { ...grouped, snapshots };
    }
  }

  /** Equal for snapshots with the same stack; empty where it cannot be read. For the rule engine, which counts different ones. */
  async stackOf(snapshot: string): Promise<string> {
    const signature = await this.snapshots.signature(this.#options.store.findSnapshot(snapshot));
    return isUnreadable(signature) ? '' : signature.key;
  }

  /** Written beside and moved into place when it is whole; readable by the owner only, for it has the memory of processes. */
  async exportIncident(reference: string, file: string): Promise<Exported> {
    const { id } = this.#options.incidents.findIncident(reference);
    return { id, bytes: await writeArchive(this.incidentArchive(id), file) };
  }

  /** A .tar.gz as it is made, for who hands it on; throws `not-found` at once. To be destroyed when nobody wants the rest. */
  incidentArchive(reference: string): Readable {
    const { incidents, store, renderSnapshot } = this.#options;
    const { id } = incidents.findIncident(reference);
    return makeArchive({
      document: () => this.incident(id),
      listSnapshots: () => incidents.listSnapshots(id),
      pathOf: (snapshot) => store.pathOf(snapshot),
      reader: this.snapshots,
      ...(renderSnapshot === undefined ? {} : { renderSnapshot }),
    });
  }

  async #summary(record: IncidentRecord): Promise<IncidentSummary> {
    const snapshots = this.#options.incidents.listSnapshots(record.id);
    return headOf(record, snapshots.length, await countStacks(this.snapshots, snapshots));
  }

  #points(incident: string, snapshots: readonly SnapshotRecord[]): IncidentDocument['points'] {
    const live = (this.#options.points?.list() ?? []).filter((point) => point.incident === incident);
    const known = new Set(live.map(({ id }) => id));
    const records = this.#options.incidents.listPoints(incident).filter(({ id }) => !known.has(id));
    const points = [...live.map(livePoint), ...records.map((record) => storedPoint(record, snapshots))];
    return points.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }
}

function headOf(record: IncidentRecord, snapshots: number, stacks: number): IncidentSummary {
  const { id, cause, startedMs, closedMs } = record;
  return {
    id,
    rule: cause.rule,
    trigger: cause.trigger,
    state: closedMs === undefined ? 'open' : 'closed',
    started: timeText(startedMs),
    ...(closedMs === undefined ? {} : { closed: timeText(closedMs) }),
    cause: cause.text,
    labels: cause.labels,
    snapshots,
    stacks,
  };
}

type PointOfIncident = IncidentDocument['points'][number];

function livePoint({ id, target, location, condition, state, why, hits }: PointDocument): PointOfIncident {
  return { id, target, location, ...(condition === undefined ? {} : { condition }), state, why, hits };
}

/** Of a point that nobody holds any more: its hits are those whose snapshots are here. */
function storedPoint(record: PointRecord, snapshots: readonly SnapshotRecord[]): PointOfIncident {
  const { id, target, location, condition, status } = record;
  const hits = snapshots.filter(({ point }) => pointOfArming(point) === id).length;
  return {
    id,
    target,
    location,
    ...(condition === undefined ? {} : { condition }),
    state: status.phase,
    why: status.why,
    hits,
  };
}

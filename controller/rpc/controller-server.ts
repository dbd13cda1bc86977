/**
 * The service `stillframe.v1.Controller` from a ControllerApi. It translates and nothing more: requests are checked
 * (controller-messages.ts), documents go out as JSON, errors in the trailer (failure-trailer.ts).
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Server, UntypedServiceImplementation } from '@grpc/grpc-js';
import { StillframeError } from '../../format/error.js';
import { failureOf } from '../../format/failure.js';
import { fromLong, toLong } from '../../proto/long.js';
import { controllerMethods, type Fields } from '../../proto/service.js';
import type {
  ControllerApi,
  Exported,
  IncidentFilter,
  LogOptions,
  SnapOptions,
} from '../service/controller-api.js';
import type { PointDocument } from '../service/documents.js';
import {
  evaluateOptionsFrom,
  explainOptionsFrom,
  expressionsFrom,
  fireOptionsFrom,
  nameFrom,
  coreOptionsFrom,
  nowOptionsFrom,
  pointReferencesFrom,
  requiredName,
  showOptionsFrom,
  logOptionsFrom,
  metricOptionsFrom,
  snapOptionsFrom,
  snapshotFilterFrom,
} from './controller-messages.js';
import { ServedCalls, type AnswerChannel, type ServiceLog } from './served-call.js';

export interface ControllerServiceOptions {
  readonly api: ControllerApi;
  readonly log: ServiceLog;
  /** An existing folder for exports on their way out: only its owner may look into it. */
  readonly scratch: string;
}

/** An answer that is larger is refused: a client would not take it. */
export const maxAnswerBytes: number = 64 * 1024 * 1024;
const chunkBytes = 256 * 1024;
const documentsPerMessage = 500;

type Methods = typeof controllerMethods;

/** Adds the service to a server that is not started yet. `stop` ends what waits, before the server is shut down. */
export function serveController(
  server: Server,
  { api, log, scratch }: ControllerServiceOptions,
): { stop(): void } {
  const calls = new ServedCalls(log);
  const m = controllerMethods;
  const implementation: { readonly [Name in keyof Methods]: UntypedServiceImplementation[string] } = {
    doctor: calls.unary(m.doctor, async () => documents(await api.doctor())),
    targets: calls.unary(m.targets, async ({ target }) =>
      documents(await api.targets(optional(nameFrom('target', target)))),
    ),
    explain: calls.unary(m.explain, async (request, signal) =>
      document(await api.explain(explainOptionsFrom(request), { signal })),
    ),
    snap: calls.stream(m.snap, (request, channel) => snap(api, snapOptionsFrom(request), channel)),
    core: calls.unary(m.core, async (request, signal) => ({
      snapshotId: (await api.core(coreOptionsFrom(request), { signal })).id,
    })),
    now: calls.unary(m.now, async (request) => ({
      snapshotId: (await api.now(nowOptionsFrom(request))).id,
    })),
    points: calls.unary(m.points, async ({ point }) =>
      documents(await api.points(optional(nameFrom('point', point)))),
    ),
    metric: calls.stream(m.metric, async (request, channel) => {
      const tell = (sample: object): void => void channel.write(document(sample));
      const { signal } = channel;
      tell(await api.metric(metricOptionsFrom(request), { signal, armed: tell, sample: tell }));
    }),
    log: calls.stream(m.log, (request, channel) => tellLog(api, logOptionsFrom(request), channel)),
    watchPoints: calls.stream(m.watchPoints, ({ point }, channel) =>
      watchPoints(api, optional(nameFrom('point', point)), channel),
    ),
    removePoints: calls.unary(m.removePoints, async (request) =>
      documents(await api.removePoints(pointReferencesFrom(request))),
    ),
    resumePoints: calls.unary(m.resumePoints, async (request) =>
      documents(await api.resumePoints(pointReferencesFrom(request))),
    ),
    snapshots: calls.unary(m.snapshots, async (request) =>
      documents(await api.snapshots(snapshotFilterFrom(request))),
    ),
    show: calls.unary(m.show, async (request) =>
      document(await api.show(snapshotNamed(request.snapshot), showOptionsFrom(request))),
    ),
    eval: calls.unary(m.eval, async (request) => {
      const options = evaluateOptionsFrom(request);
      const values = await api.evaluate(snapshotNamed(request.snapshot), expressionsFrom(request), options);
      return documents(
        values.map((value) => (value instanceof StillframeError ? { error: failureOf(value) } : value)),
      );
    }),
    export: calls.stream(m.export, (request, channel) => {
      const reference = snapshotNamed(request.snapshot);
      return sendExport(scratch, (file) => api.exportCore(reference, file), channel);
    }),
    rules: calls.unary(m.rules, async () => documents(await api.rules())),
    testRule: calls.unary(m.testRule, async ({ rule }) =>
      document(await api.testRule(requiredName('rule', rule))),
    ),
    fireRule: calls.unary(m.fireRule, async (request) =>
      document(await api.fireRule(requiredName('rule', request.rule), fireOptionsFrom(request))),
    ),
    incidents: calls.unary(m.incidents, async ({ rule, sinceNs }) =>
      documents(await api.incidents(incidentFilterFrom(nameFrom('rule', rule), fromLong(sinceNs)))),
    ),
    showIncident: calls.unary(m.showIncident, async ({ incident }) =>
      document(await api.incident(requiredName('incident', incident))),
    ),
    exportIncident: calls.stream(m.exportIncident, ({ incident }, channel) => {
      const reference = requiredName('incident', incident);
      return sendExport(scratch, (file) => api.exportIncident(reference, file), channel);
    }),
  };
  server.addService(m, implementation);
  return calls;
}

const optional = (name: string): string | undefined => (name === '' ? undefined : name);

/** NB: a path would be one of this host, which callers have no business to read. */
function snapshotNamed(snapshot: string | null | undefined): { readonly name: string } {
  const name = requiredName('snapshot', snapshot);
  if (/^[0-9a-z]+$/.test(name)) return { name };
  throw new StillframeError('usage', `"${name.slice(0, 64)}" is no id of a snapshot`, {
    hint: 'a controller shows what it stored: give an id, a prefix of one, or `last`',
  });
}

function incidentFilterFrom(rule: string, sinceNs: bigint): IncidentFilter {
  return {
    ...(rule === '' ? {} : { rule }),
    ...(sinceNs === 0n ? {} : { sinceMs: Number(sinceNs / 1_000_000n) }),
  };
}

function document(value: object): Fields<'Document'> {
  return { json: jsonOf(value) };
}

function jsonOf(value: object): string {
  const json = JSON.stringify(value);
  checkSize(Buffer.byteLength(json));
  return json;
}

function documents(values: readonly object[]): Fields<'Documents'> {
  const json = values.map((value) => JSON.stringify(value));
  checkSize(json.reduce((sum, text) => sum + Buffer.byteLength(text), 0));
  return { json };
}

function checkSize(bytes: number): void {
  if (bytes <= maxAnswerBytes) return;
  throw new StillframeError('limit', `the answer has ${bytes} bytes, at most ${maxAnswerBytes} are sent`, {
    hint: 'ask for less: a smaller depth, one frame, a shorter time',
  });
}

async function snap(
  api: ControllerApi,
  options: SnapOptions,
  channel: AnswerChannel<Fields<'SnapUpdate'>>,
): Promise<void> {
  const sent = new Set<string>();
  let writable = true;
  const send = (update: Fields<'SnapUpdate'>): void => {
    writable = channel.write(update);
    if (!writable) {
      // What is said once a second is left out until the caller has read what it was told.
      channel.drained().then(
        () => (writable = true),
        () => undefined,
      );
    }
  };
  const sendSnapshot = ({ id }: { readonly id: string }): void => {
    if (!sent.has(id)) send({ snapshotId: id });
    sent.add(id);
  };
  const outcome = await api.snap(options, {
    armed: (point) => send({ armedJson: JSON.stringify(point) }),
    progress: (why) => {
      if (writable) send({ why });
    },
    snapshot: sendSnapshot,
    ...(options.detach ? {} : { signal: channel.signal }),
  });
  for (const snapshot of outcome.snapshots) sendSnapshot(snapshot);
  send({ doneJson: JSON.stringify(outcome.point) });
}

/** Lines that the caller does not read in time are counted, and told when it reads again. */
async function tellLog(
  api: ControllerApi,
  options: LogOptions,
  channel: AnswerChannel<Fields<'LogUpdate'>>,
): Promise<void> {
  const { signal } = channel;
  let writable = true;
  let [missed, allMissed] = [0, 0];
  const send = (update: Fields<'LogUpdate'>): void => {
    writable = channel.write(update);
    if (!writable) channel.drained().then(readsAgain, () => undefined);
  };
  const readsAgain = (): void => {
    writable = true;
    if (missed === 0) return;
    const count = toLong(missed);
    missed = 0;
    send({ dropped: { count, why: 'faster than they are read' } });
  };
  const summary = await api.log(options, {
    signal,
    armed: (armed) => send({ armed }),
    line: (line) => {
      if (writable) send({ lineJson: jsonOf(line) });
      else [missed, allMissed] = [missed + 1, allMissed + 1];
    },
    dropped: (count, why) => send({ dropped: { count: toLong(count), why } }),
  });
  if (signal.aborted) return;
  if (!writable) await channel.drained();
  readsAgain();
  const dropped = summary.dropped + allMissed;
  send({ doneJson: JSON.stringify({ ...summary, lines: summary.lines - allMissed, dropped }) });
}

/** Of a point that changes faster than the caller reads, only how it stands last is kept. */
async function watchPoints(
  api: ControllerApi,
  reference: string | undefined,
  channel: AnswerChannel<Fields<'Documents'>>,
): Promise<void> {
  const pending = new Map<string, PointDocument>();
  let writable = true;
  const flush = (): void => {
    while (writable && pending.size > 0) {
      const batch = [...pending.values()].slice(0, documentsPerMessage);
      for (const { id } of batch) pending.delete(id);
      writable = channel.write(documents(batch));
    }
    if (writable) return;
    channel.drained().then(
      () => {
        writable = true;
        flush();
      },
      () => undefined,
    );
  };
  let told = false;
  await api.watchPoints(reference, {
    signal: channel.signal,
    points: (points) => {
      // That there are none is told once.
      if (!told && points.length === 0) channel.write(documents([]));
      told = true;
      for (const point of points) pending.set(point.id, point);
      if (writable) flush();
    },
  });
}

async function sendExport(
  scratch: string,
  exportTo: (file: string) => Promise<Exported>,
  channel: AnswerChannel<Fields<'Chunk'>>,
): Promise<void> {
  const folder = mkdtempSync(join(scratch, 'export-'));
  try {
    const path = join(folder, 'file');
    const { id, bytes } = await exportTo(path);
    const file = await open(path, 'r');
    try {
      let offset = 0;
      do {
        const length = Math.min(chunkBytes, bytes - offset);
        const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
        if (bytesRead < length) throw new StillframeError('internal', `the export of ${id} lost bytes`);
        const head = offset === 0 ? { id, size: toLong(bytes) } : {};
        const chunk = { offset: toLong(offset), data: buffer.subarray(0, bytesRead), ...head };
        offset += bytesRead;
        if (!channel.write(chunk)) await channel.drained();
      } while (offset < bytes);
    } finally {
      await file.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

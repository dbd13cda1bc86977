/**
 * Documents that a controller sent, read as what they should be. A controller is foreign too: of every document the fields that faces
 * rely on must be there and of their kind; what else is in it is passed on.
 */
import { badData, StillframeError } from '../../format/error.js';
import { errorOf } from '../../format/failure.js';
import type { IncidentDocument, IncidentSummary } from '../automation/incident.js';
import type { FiringDocument, RuleDocument, RuleTestDocument } from '../automation/rule-document.js';
import type {
  DoctorDocument,
  ExplainDocument,
  PointDocument,
  SnapshotSummary,
  TargetDocument,
} from '../service/documents.js';
import type { LogLine, LogSummary } from '../service/controller-api.js';
import type { MetricDocument } from '../service/metric-document.js';
import type { SnapshotDocument } from '../snapshot/document.js';
import type { ValueDocument } from '../types/value-document.js';

type Kind = 'string' | 'number' | 'boolean' | 'array' | 'object';
type Shape = Readonly<Record<string, Kind>>;

/** What an answer is read as, and the fields without which it is not that. */
export interface DocumentKind<T> {
  readonly name: string;
  readonly shape: Shape;
  /** Never there: says which type it is. */
  readonly type?: T;
}

const kind = <T>(name: string, shape: Shape): DocumentKind<T> => ({ name, shape });

export const documentKinds: {
  readonly doctor: DocumentKind<DoctorDocument>;
  readonly target: DocumentKind<TargetDocument>;
  readonly explain: DocumentKind<ExplainDocument>;
  readonly metric: DocumentKind<MetricDocument>;
  readonly logLine: DocumentKind<LogLine>;
  readonly logSummary: DocumentKind<LogSummary>;
  readonly point: DocumentKind<PointDocument>;
  readonly summary: DocumentKind<SnapshotSummary>;
  readonly snapshot: DocumentKind<SnapshotDocument>;
  readonly value: DocumentKind<ValueDocument>;
  readonly rule: DocumentKind<RuleDocument>;
  readonly ruleTest: DocumentKind<RuleTestDocument>;
  readonly firing: DocumentKind<FiringDocument>;
  readonly incidentSummary: DocumentKind<IncidentSummary>;
  readonly incident: DocumentKind<IncidentDocument>;
} = {
  doctor: kind('a doctor document', { host: 'string', kernel: 'string', agent: 'object', engines: 'array' }),
  target: kind('a target', { pid: 'number', name: 'string', executable: 'string', buildId: 'string' }),
  explain: kind('an explanation', { targets: 'array' }),
  metric: kind('a metric', {
    metric: 'string', kind: 'string', target: 'string', location: 'string', final: 'boolean', engine: 'string',
    elapsedMs: 'number', hits: 'number', conditionFalse: 'number', conditionUnreadable: 'number',
    unreadable: 'number', total: 'object', processes: 'array', notes: 'array',
  }), // prettier-ignore
  logLine: kind('a log line', {
    time: 'string', pid: 'number', tid: 'number', comm: 'string', text: 'string', values: 'array',
  }), // prettier-ignore
  logSummary: kind('the end of a log', { lines: 'number', dropped: 'number', why: 'string' }),
  point: kind('a point', {
    id: 'string', state: 'string', why: 'string', target: 'string', location: 'string',
    captures: 'array', processes: 'array', hits: 'number', expires: 'string', kind: 'string',
  }), // prettier-ignore
  summary: kind('a snapshot', {
    id: 'string', point: 'string', pid: 'number', tid: 'number', comm: 'string',
    time: 'string', engine: 'string', location: 'object', size: 'number',
  }), // prettier-ignore
  snapshot: kind('a snapshot', {
    id: 'string', point: 'string', comm: 'string', host: 'string', engine: 'string',
    location: 'object', frames: 'array', captures: 'array', threads: 'array',
  }), // prettier-ignore
  value: kind('a value', { type: 'string', kind: 'string' }),
  rule: kind('a rule', {
    name: 'string', file: 'string', trigger: 'string', state: 'string', why: 'string',
    firings: 'number', refused: 'number', failures: 'number',
  }), // prettier-ignore
  ruleTest: kind('a test of a rule', { rule: 'string', steps: 'array', trigger: 'object', text: 'string' }),
  firing: kind('a firing', { rule: 'string', fired: 'boolean', why: 'string' }),
  incidentSummary: kind('an incident', {
    id: 'string', rule: 'string', trigger: 'string', state: 'string', started: 'string', cause: 'string',
    labels: 'object', snapshots: 'number', stacks: 'number',
  }), // prettier-ignore
  incident: kind('an incident', {
    id: 'string', rule: 'string', trigger: 'string', state: 'string', started: 'string', cause: 'string',
    labels: 'object', timeline: 'array', points: 'array', groups: 'array',
  }), // prettier-ignore
};

/** Throws `bad-data`. */
export function readDocument<T>(kindOf: DocumentKind<T>, json: string | null | undefined): T {
  return check(kindOf, parse(json ?? '', kindOf.name));
}

export function readDocuments<T>(
  kindOf: DocumentKind<T>,
  jsons: readonly string[] | null | undefined,
): readonly T[] {
  return (jsons ?? []).map((json) => readDocument(kindOf, json));
}

/** A value, or the error that its expression has. */
export function readValue(json: string): ValueDocument | StillframeError {
  const value = parse(json, documentKinds.value.name);
  if (isObject(value) && isObject(value['error'])) return errorOf(value['error']);
  return check(documentKinds.value, value);
}

function parse(json: string, name: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    throw badData(`the controller sent no JSON for ${name}`);
  }
}

function check<T>({ name, shape }: DocumentKind<T>, value: unknown): T {
  if (!isObject(value)) throw badData(`the controller sent something else than ${name}`);
  for (const [field, wanted] of Object.entries(shape)) {
    if (kindOfValue(value[field]) !== wanted) {
      throw badData(`the controller sent ${name} whose "${field}" is no ${wanted}`, {
        hint: 'controller and command line may be of different versions',
      });
    }
  }
  return value as T;
}

function kindOfValue(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return value === null ? 'null' : typeof value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return kindOfValue(value) === 'object';
}

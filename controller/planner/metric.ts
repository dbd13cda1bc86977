/** What a metric asks for, to the aggregate of a plan: the value and the group of each site, and what they mean to people. */
import { StillframeError } from '../../format/error.js';
import { defaultLimits } from '../../format/limits.js';
import type { AggregateBuckets, PlanAggregate, SiteAggregate } from '../../format/plan/aggregate.js';
import { isText } from '../expression/c-types.js';
import { checkExpression } from '../expression/check.js';
import { countedText } from '../expression/check-text.js';
import { dataNode, lengthNode } from '../expression/view-node.js';
import { inText } from '../expression/in-text.js';
import { isUnlowered, lowerAddress, lowerValue, type Unlowered } from '../expression/lower.js';
import type { Typed } from '../expression/typed.js';
import { isBoolean, isCharacter, isSigned, stripType } from '../types/layout.js';
import { typeName } from '../types/type-name.js';
import type { Site } from './site.js';

export interface MetricRequest {
  readonly kind: PlanAggregate['kind'];
  /** Of a sum or a histogram. */
  readonly value?: string;
  readonly by?: string;
  /** Of a histogram; powers of two unless given. */
  readonly buckets?: AggregateBuckets;
  readonly maxGroups?: number;
  /** Of strings that are grouped by. */
  readonly groupBytes?: number;
}

/** How what was added up is to be read: plain data. */
export interface MetricShape {
  readonly aggregate: PlanAggregate;
  readonly value?: { readonly expression: string; readonly type: string };
  readonly group?: GroupShape;
}

export interface GroupShape {
  readonly expression: string;
  readonly type: string;
  readonly kind: 'integer' | 'bool' | 'char' | 'pointer' | 'enum' | 'text';
  readonly signed: boolean;
  /** Of an enumeration: its values, as 64 bits, in decimal. */
  readonly names?: Readonly<Record<string, string>>;
  /** Of an array of characters: all of it is looked at, so that no string goes on beyond. */
  readonly whole?: true;
}

export interface PlannedMetric {
  readonly shape: MetricShape;
  readonly own: SiteAggregate;
}

/** Throws `bad-expression` for what does not check; what the kernel cannot compute at this site is given back. */
export function planMetric(site: Site, request: MetricRequest): PlannedMetric | Unlowered {
  const { kind, value, by, maxGroups = defaultLimits.defaultGroups } = request;
  const measured = value === undefined ? undefined : valueOf(site, value);
  if (isUnlowered(measured)) return measured;
  const grouped = by === undefined ? undefined : groupOf(site, by, request.groupBytes);
  if (isUnlowered(grouped)) return grouped;
  const aggregate: PlanAggregate = {
    kind,
    signed: measured?.signed ?? false,
    ...(kind === 'histogram' ? { buckets: request.buckets ?? { kind: 'log2' } } : {}),
    ...(grouped === undefined ? {} : { group: grouped.grouping }),
    maxGroups: grouped === undefined ? 1 : maxGroups,
  };
  return {
    shape: {
      aggregate,
      ...(measured === undefined ? {} : { value: { expression: measured.text, type: measured.type } }),
      ...(grouped === undefined ? {} : { group: grouped.shape }),
    },
    own: {
      ...(measured === undefined ? {} : { value: measured.code }),
      ...(grouped === undefined ? {} : { group: grouped.code }),
      ...(grouped?.length === undefined ? {} : { groupLength: grouped.length }),
    },
  };
}

/** As a person would write it. */
export function metricText({ kind, value, by }: MetricRequest): string {
  return `${kind}${value === undefined ? '' : `(${value})`}${by === undefined ? '' : ` by ${by}`}`;
}

interface Value {
  readonly text: string;
  readonly type: string;
  readonly signed: boolean;
  readonly code: Uint8Array;
}

function valueOf(site: Site, text: string): Value | Unlowered {
  const node = inText(text, () => checkExpression(text, site.names));
  const code = lowerValue(node, site);
  if (isUnlowered(code)) return code;
  return { text, type: typeName(node.type), signed: isSigned(node.type), code };
}

interface Group {
  readonly shape: GroupShape;
  readonly grouping: NonNullable<PlanAggregate['group']>;
  readonly code: Uint8Array;
  readonly length?: Uint8Array;
}

function groupOf(
  site: Site,
  text: string,
  bytes: number = defaultLimits.defaultGroupBytes,
): Group | Unlowered {
  const node = inText(text, () => checkExpression(text, site.names));
  const counted = countedText(node);
  if (counted !== undefined && counted.unitBytes === 1) {
    const { view, object } = counted;
    const code = lowerValue(dataNode(view, object), site);
    const length = lowerValue(lengthNode(view, object), site);
    if (isUnlowered(code)) return code;
    if (isUnlowered(length)) return length;
    return { ...textGroup(text, node, bytes), code, length };
  }
  return isText(node.type) ? plainText(site, text, node, bytes) : numberGroup(site, text, node);
}

function textGroup(expression: string, node: Typed, maxBytes: number): Omit<Group, 'code'> {
  return {
    shape: { expression, type: typeName(node.type), kind: 'text', signed: false },
    grouping: { kind: 'text', maxBytes },
  };
}

function plainText(site: Site, text: string, node: Typed, bytes: number): Group | Unlowered {
  const type = stripType(node.type);
  if (type.kind !== 'array') {
    const code = lowerValue(node, site);
    return isUnlowered(code) ? code : { ...textGroup(text, node, bytes), code };
  }
  const code = lowerAddress(node, site);
  if (isUnlowered(code)) return code;
  const isWhole = type.count !== undefined && type.count > 0 && type.count <= bytes;
  const group = textGroup(text, node, isWhole ? (type.count ?? bytes) : bytes);
  return { ...group, shape: { ...group.shape, ...(isWhole ? { whole: true as const } : {}) }, code };
}

function numberGroup(site: Site, expression: string, node: Typed): Group | Unlowered {
  const code = lowerValue(node, site);
  if (isUnlowered(code)) return code;
  const type = stripType(node.type);
  const kind =
    type.kind === 'pointer'
      ? 'pointer'
      : type.kind === 'enum'
        ? 'enum'
        : isBoolean(type)
          ? 'bool'
          : isCharacter(type)
            ? 'char'
            : 'integer';
  const names =
    type.kind === 'enum'
      ? Object.fromEntries(
          type
            .enumerators()
            .slice(0, maxNames)
            .map(({ name, value }) => [String(BigInt.asUintN(64, value)), name]),
        )
      : undefined;
  const shape: GroupShape = {
    expression,
    type: typeName(node.type),
    kind,
    signed: isSigned(node.type),
    ...(names === undefined ? {} : { names }),
  };
  return { shape, grouping: { kind: 'number' }, code };
}

/** Enumerators that are told by name. */
const maxNames = 10_000;

/** All sites of a plan must mean the same: what differs would be added to something else. */
export function sameShape(shapes: readonly MetricShape[]): MetricShape | undefined {
  const [first] = shapes;
  const differing = shapes.find((shape) => describe(shape) !== describe(first));
  if (differing === undefined) return first;
  throw new StillframeError(
    'unsupported',
    `cannot add up: the expressions are of other types at one address (${describe(differing)}) than at another (${describe(first)})`,
    { hint: 'choose a location with one address, or cast to one type' },
  );
}

function describe(shape: MetricShape | undefined): string {
  const { value, group } = shape ?? {};
  return [value?.type, group?.type].filter((type) => type !== undefined).join(' by ');
}

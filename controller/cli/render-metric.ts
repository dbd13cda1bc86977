/** A metric for people: a line of what was counted, and a table, or bars. */
import type { MetricBucket, MetricCell, MetricDocument, MetricGroup } from '../service/metric-document.js';
import { clean, colors, grouped, plural, quoted } from './style.js';
import { renderTable } from './table.js';

/** Groups that are shown; `--json` has all. */
const maxShown = 50;
/** Groups whose histograms are shown. */
const maxHistograms = 8;
const barWidth = 40;

export function renderMetric(document: MetricDocument): string {
  const { groups, other, kind, total } = document;
  const parts = [heading(document)];
  if (groups === undefined) {
    if (kind === 'histogram') parts.push(bars(total.buckets ?? []));
    if (kind !== 'count') parts.push(sumLine(total));
  } else if (kind === 'histogram') {
    for (const each of groups.slice(0, maxHistograms))
      parts.push(`${colors.bold(nameOf(each))}: ${sumLine(each)}`, bars(each.buckets ?? []));
    if (groups.length > maxHistograms)
      parts.push(`… and ${groups.length - maxHistograms} more groups (--json has all)`);
    if (other !== undefined)
      parts.push(`${otherName(document)}: ${sumLine(other)}`, bars(other.buckets ?? []));
  } else parts.push(table(document));
  return parts.filter((part) => part !== '').join('\n');
}

function heading(document: MetricDocument): string {
  const { metric, location, total, elapsedMs, hits, conditionFalse, conditionUnreadable, unreadable } =
    document;
  const seconds = elapsedMs / 1000;
  const rate = seconds > 0 ? `, ${grouped(Math.round(total.count / seconds))} a second` : '';
  const facts = [
    `${plural(hits, 'hit')} in ${seconds.toFixed(1)} s`,
    ...(document.condition === undefined ? [] : [`condition false ${grouped(conditionFalse)} times`]),
    ...(conditionUnreadable === 0 ? [] : [`condition not readable ${grouped(conditionUnreadable)} times`]),
    ...(unreadable === 0 ? [] : [`value or group not readable ${grouped(unreadable)} times`]),
  ];
  const when = document.final ? '' : colors.dim(' (so far)');
  return `${colors.bold(clean(metric))} at ${clean(location)}: ${grouped(total.count)}${rate}${when}\n${colors.dim(facts.join(', '))}`;
}

function nameOf(group: MetricGroup): string {
  if (group.value === undefined) return `${quoted(group.group)}${group.cut === true ? '…' : ''}`;
  return clean(group.group);
}

const otherName = ({ maxGroups }: MetricDocument): string => `other (beyond ${maxGroups ?? 0} groups)`;

function table(document: MetricDocument): string {
  const { groups = [], other, kind } = document;
  const row = (name: string, cell: MetricCell): string[] => [
    name,
    grouped(cell.count),
    ...(kind === 'sum' ? [sumOf(cell), meanOf(cell)] : [share(cell, document)]),
  ];
  const rows = groups.slice(0, maxShown).map((group) => row(nameOf(group), group));
  if (other !== undefined) rows.push(row(otherName(document), other));
  const more =
    groups.length > maxShown ? `\n… and ${groups.length - maxShown} more groups (--json has all)` : '';
  return `${renderTable(['group', 'count', ...(kind === 'sum' ? ['sum', 'mean'] : ['share'])], rows)}${more}`;
}

function share({ count }: MetricCell, { total }: MetricDocument): string {
  return total.count === 0 ? '' : `${((100 * count) / total.count).toFixed(1)}%`;
}

const sumOf = ({ sum }: MetricCell): string =>
  sum === undefined ? 'not known: too many hits' : grouped(BigInt(sum));
const meanOf = ({ mean }: MetricCell): string =>
  mean === undefined ? '' : String(Number(mean.toPrecision(6)));

function sumLine(cell: MetricCell): string {
  const mean = meanOf(cell);
  return `count ${grouped(cell.count)}, sum ${sumOf(cell)}${mean === '' ? '' : `, mean ${mean}`}`;
}

function bars(buckets: readonly MetricBucket[]): string {
  const most = Math.max(0, ...buckets.map(({ count }) => count));
  const names = buckets.map(({ from, to }) =>
    from === undefined
      ? `below ${short(to)}`
      : to === undefined
        ? `${short(from)} and more`
        : `[${short(from)}, ${short(to)})`,
  );
  const counts = buckets.map(({ count }) => grouped(count));
  const nameWidth = Math.max(0, ...names.map(({ length }) => length));
  const countWidth = Math.max(0, ...counts.map(({ length }) => length));
  return buckets
    .map(({ count }, i) => {
      const bar = '█'.repeat(Math.max(1, Math.round((barWidth * count) / most)));
      return `  ${(names[i] ?? '').padEnd(nameWidth)}  ${(counts[i] ?? '').padStart(countWidth)}  ${bar}`;
    })
    .join('\n');
}

const units = ['', 'K', 'M', 'G', 'T', 'P', 'E'];

/** `64K`, where it is so many times 1024 exactly. */
function short(decimal = ''): string {
  let number = BigInt(decimal);
  let unit = 0;
  while (number !== 0n && number % 1024n === 0n && unit < units.length - 1) {
    number /= 1024n;
    unit++;
  }
  return `${number}${units[unit] ?? ''}`;
}

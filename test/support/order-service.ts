import { buildFixture, probeLine, type FixtureOptions } from './fixtures.js';
import type { StartedProgram, Workplace } from './cli.js';

export const goldCondition = 'order->customer->tier == GOLD && order->total > 10000';

/** Starts the sample service under load; ready when its first report is out. */
export function startOrderService(
  workplace: Workplace,
  options: FixtureOptions & { readonly rate?: number; readonly workers?: number } = {},
): Promise<StartedProgram & { readonly path: string }> {
  const path = buildFixture('order-service', options);
  const args = ['--rate', String(options.rate ?? 5000), '--workers', String(options.workers ?? 4)];
  return workplace.startProgram(path, args, { ready: /^rps=/ }).then((started) => ({ ...started, path }));
}

export function chargeLocation(mark = 'charge'): string {
  return `orders.c:${probeLine('order-service', 'orders.c', mark)}`;
}

/** The service's own verdict on itself, of its latest report. */
export function latestReport(service: StartedProgram): { rps: number; wrong: number } {
  const match = /^rps=(\d+) p99us=\d+ bad=(\d+)$/.exec(service.lines.at(-1) ?? '');
  if (match === null) throw new Error(`no report in ${JSON.stringify(service.lines.at(-1))}`);
  return { rps: Number(match[1]), wrong: Number(match[2]) };
}

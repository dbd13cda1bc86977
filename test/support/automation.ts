/** What tests of automation share: waiting, the command line against a controller, incidents as documents. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { IncidentDocument } from '../../controller/automation/incident.js';
import type { ControllerApi } from '../../controller/service/controller-api.js';

/** Polls until it gives something; throws, with `what`, when it does not in time. */
export async function eventually<T>(
  what: string,
  find: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 60_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await find();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`it did not happen within ${timeoutMs} ms: ${what}`);
    await sleep(100);
  }
}

/** The nth incident of a rule, oldest first, when it is closed. */
export function closedIncident(
  api: ControllerApi,
  rule: string,
  options: { readonly number?: number; readonly timeoutMs?: number } = {},
): Promise<IncidentDocument> {
  const { number = 1, timeoutMs = 120_000 } = options;
  let last = 'none';
  return eventually(
    `incident ${number} of ${rule} is closed`,
    async () => {
      const all = await api.incidents({ rule });
      const mine = all.toSorted((a, b) => a.started.localeCompare(b.started))[number - 1];
      last = mine?.state ?? 'none';
      return mine?.state === 'closed' ? api.incident(mine.id) : undefined;
    },
    timeoutMs,
  ).catch(async (error: unknown) => {
    const rules = await api.rules();
    throw new Error(`${String(error)}; it is ${last}; ${JSON.stringify(rules)}`, { cause: error });
  });
}

export interface CountedRule {
  readonly state: string;
  readonly why: string;
  readonly firings: number;
  readonly refused: number;
  readonly repeated: number;
  readonly failures: number;
}

export async function countedRule(api: ControllerApi, name: string): Promise<CountedRule> {
  const rule = (await api.rules()).find((each) => each.name === name);
  if (rule === undefined) throw new Error(`there is no rule ${name}`);
  return { ...rule, repeated: rule.repeated ?? 0 };
}

/** One instant query of a Prometheus: its answer checked, its errors in its own words, within bounds of time and size. */
import * as z from 'zod';
import { StillframeError } from '../../../format/error.js';
import { duration } from '../quantity.js';
import type { PrometheusWhen } from '../rule.js';
import { readSecret } from '../secret-file.js';

export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const maxAnswerBytes = 4 * 1024 * 1024;
const maxSeries = 2000;
const maxLabels = 64;
const maxErrorText = 300;

const sample = z.tuple([z.number(), z.string()]);
const vectorSchema = z.array(
  z.object({ metric: z.record(z.string(), z.string()), value: sample.optional() }),
);
const answerSchema = z.object({
  status: z.string(),
  errorType: z.string().optional(),
  error: z.string().optional(),
  warnings: z.array(z.string()).optional(),
  data: z.object({ resultType: z.string(), result: z.unknown() }).optional(),
});

/** Throws StillframeError whose message stands alone: `unreachable`, `bad-data`, `denied`, `limit`. */
export async function queryPrometheus(
  when: Pick<PrometheusWhen, 'url' | 'query' | 'timeoutMs' | 'tokenFile'>,
  signal: AbortSignal,
): Promise<readonly Series[]> {
  const headers: Record<string, string> = { accept: 'application/json' };
  if (when.tokenFile !== undefined) headers['authorization'] = `Bearer ${readSecret(when.tokenFile)}`;
  const timeout = AbortSignal.timeout(when.timeoutMs);
  try {
    const response = await fetch(urlOf(when), {
      headers,
      redirect: 'manual',
      signal: AbortSignal.any([timeout, signal]),
    });
    const text = await bodyOf(response);
    if (response.status >= 300 && response.status < 400) {
      throw fault('bad-data', `it answers ${response.status} with a redirect, which is not followed`);
    }
    return seriesOf(response.status, text);
  } catch (error) {
    if (error instanceof StillframeError) throw error;
    const reason = timeout.aborted ? `no answer within ${duration.render(when.timeoutMs)}` : reasonOf(error);
    throw new StillframeError('unreachable', reason, { cause: error });
  }
}

function urlOf({ url, query }: Pick<PrometheusWhen, 'url' | 'query'>): URL {
  const whole = new URL(url);
  whole.pathname = `${whole.pathname.replace(/\/+$/, '')}/api/v1/query`;
  whole.searchParams.set('query', query);
  return whole;
}

async function bodyOf(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  if (response.body === null) return '';
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    // Leaving the loop cancels the rest.
    if (length > maxAnswerBytes)
      throw fault('limit', `it answers more than ${maxAnswerBytes / 1024 ** 2} MiB`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function seriesOf(status: number, text: string): readonly Series[] {
  const answer = parseAnswer(text);
  if (answer === undefined || (status >= 400 && answer.error === undefined)) {
    throw fault(codeOf(status), status === 200 ? 'it answers no JSON of a query' : `it answers ${status}`);
  }
  if (answer.status !== 'success' || status !== 200) {
    const type = answer.errorType === undefined ? '' : ` ${answer.errorType}`;
    throw fault(codeOf(status), `it answers ${status}${type}: ${cut(answer.error ?? '')}`);
  }
  const [warning] = answer.warnings ?? [];
  // What was computed of a part of the data may be wrong.
  if (warning !== undefined) throw fault('bad-data', `it warns: ${cut(warning)}`);
  const { resultType, result } = answer.data ?? { resultType: '', result: undefined };
  if (resultType === 'scalar') {
    const scalar = sample.safeParse(result);
    if (scalar.success) return [{ labels: {}, value: numberOf(scalar.data[1]) }];
  }
  if (resultType !== 'vector' && resultType !== 'scalar') {
    throw fault('bad-data', `the query gives a ${cut(resultType)}: it must give a vector or a scalar`);
  }
  const vector = vectorSchema.safeParse(result);
  if (!vector.success) throw fault('bad-data', `it answers a ${resultType} that is none`);
  if (vector.data.length > maxSeries) {
    throw fault('limit', `the query gives ${vector.data.length} series, more than ${maxSeries}`);
  }
  return vector.data.map(({ metric, value }) => {
    if (value === undefined) throw fault('bad-data', 'the query gives histograms: it must give numbers');
    return {
      labels: Object.fromEntries(Object.entries(metric).slice(0, maxLabels)),
      value: numberOf(value[1]),
    };
  });
}

function parseAnswer(text: string): z.output<typeof answerSchema> | undefined {
  try {
    return answerSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** As Prometheus writes numbers. What is none is NaN, which no condition holds for. */
function numberOf(text: string): number {
  const infinity = /^([+-]?)Inf$/.exec(text);
  if (infinity !== null) return infinity[1] === '-' ? -Infinity : Infinity;
  return text.trim() === '' ? NaN : Number(text);
}

function codeOf(status: number): 'denied' | 'bad-data' | 'unreachable' {
  if (status === 401 || status === 403) return 'denied';
  return status >= 500 ? 'unreachable' : 'bad-data';
}

function fault(code: ConstructorParameters<typeof StillframeError>[0], message: string): StillframeError {
  return new StillframeError(code, message);
}

const cut = (text: string): string => (text.length > maxErrorText ? `${text.slice(0, maxErrorText)}…` : text);

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'it hung up',
  UND_ERR_SOCKET: 'it hung up',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'its name cannot be resolved now',
  EHOSTUNREACH: 'no route to it',
};

/** Fetch says "fetch failed"; why stands in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = (cause as NodeJS.ErrnoException).code ?? '';
  return reasons[code] ?? (cause instanceof Error ? cause.message : String(cause));
}

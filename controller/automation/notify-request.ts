/**
 * One call of a webhook: a POST of a body that is given, within a time, with what proves who sent it. Certificates are verified, redirects
 * are not followed, the answer counts by its status only. Where it goes is for who wrote the rule: loopback and private addresses are fine.
 */
import { createHmac } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { request as requestHttp, type IncomingMessage, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { Delivery } from './notify-queue.js';
import { parseRetryAfter } from './notify-retry.js';

export type Outcome =
  | { readonly kind: 'delivered'; readonly status: number }
  /** It would be refused again. */
  | { readonly kind: 'refused'; readonly why: string }
  /** Perhaps another time. */
  | { readonly kind: 'failed'; readonly why: string; readonly askedMs?: number };

export interface CallOptions {
  readonly timeoutMs: number;
  /** Aborted: the controller ends. */
  readonly signal: AbortSignal;
  /** Certificates to trust instead of the system's, in PEM. */
  readonly ca?: string;
}

const maxSecretBytes = 64 * 1024;
/** Of the answer, which nobody reads: so much is waited for, so that the other side ends in order. */
const maxAnswerBytes = 64 * 1024;
const userAgent = 'stillframe/0.1';

/** Throws `usage` when it is no address that can be called. */
export function parseDestination(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')) {
    throw new StillframeError('usage', `cannot notify "${url}": it is no http: or https: address`);
  }
  return parsed;
}

/** For people: without path and query, which may have a secret in them. */
export function destinationName(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : 'an address that is none';
}

/** Never rejects. */
export async function callWebhook(
  { id, destination, notification }: Delivery,
  body: string,
  options: CallOptions,
): Promise<Outcome> {
  // NB: not AbortSignal.any, which lets a signal that lives as long as the controller collect one listener for each call.
  const ended = new AbortController();
  const { signal } = ended;
  const end = (): void => ended.abort();
  const timer = setTimeout(end, options.timeoutMs);
  options.signal.addEventListener('abort', end, { once: true });
  if (options.signal.aborted) end();
  try {
    const url = parseDestination(destination.url);
    const bytes = Buffer.from(body);
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      'content-length': String(bytes.length),
      'user-agent': userAgent,
      'idempotency-key': id,
      'x-stillframe-event': notification.event,
      ...(await proofOf(destination, bytes)),
    };
    const answer = await post(url, bytes, {
      headers,
      signal,
      ...(options.ca === undefined ? {} : { ca: options.ca }),
    });
    await drain(answer, signal);
    return outcomeOf(answer, Date.now());
  } catch (thrown) {
    return { kind: 'failed', why: reasonOf(thrown, signal, options) };
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener('abort', end);
  }
}

/** `Authorization` and the signature, from files that are read anew: they may be replaced at any time. */
async function proofOf(
  { tokenFile, secretFile }: Delivery['destination'],
  body: Uint8Array,
): Promise<Record<string, string>> {
  const proof: Record<string, string> = {};
  if (tokenFile !== undefined) {
    const token = (await readSecret(tokenFile)).toString('utf8').trim();
    if (!/^[\u0021-\u007E]+$/.test(token)) {
      throw new StillframeError('usage', `"${tokenFile}" holds no token: one word of printable characters`);
    }
    proof['authorization'] = `Bearer ${token}`;
  }
  if (secretFile !== undefined) {
    const secret = withoutLineEnd(await readSecret(secretFile));
    if (secret.length === 0)
      throw new StillframeError('usage', `"${secretFile}" holds no secret: it is empty`);
    proof['x-stillframe-signature'] = `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`;
  }
  return proof;
}

async function readSecret(path: string): Promise<Buffer> {
  try {
    // NB: without O_NONBLOCK a pipe of that name would wait for a writer for ever.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!(await handle.stat()).isFile()) throw new StillframeError('usage', 'it is no regular file');
      const buffer = Buffer.alloc(maxSecretBytes + 1);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
      if (bytesRead > maxSecretBytes)
        throw new StillframeError('limit', `it has more than ${maxSecretBytes} bytes`);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (thrown) {
    const why = codeOf(thrown) ?? toStillframeError(thrown).message;
    throw new StillframeError('system', `cannot read "${path}": ${why}`, { cause: thrown });
  }
}

/** As an editor leaves it behind. */
function withoutLineEnd(bytes: Buffer): Buffer {
  const text = /\r?\n$/.exec(bytes.toString('latin1'));
  return text === null ? bytes : bytes.subarray(0, bytes.length - text[0].length);
}

function post(
  url: URL,
  body: Uint8Array,
  options: RequestOptions & { ca?: string },
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? requestHttps : requestHttp;
    const settings = { ...options, method: 'POST', agent: false as const };
    // NB: said outright, or NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment would switch it off.
    const request = send(
      url,
      url.protocol === 'https:' ? { ...settings, rejectUnauthorized: true } : settings,
    );
    request.once('response', resolve);
    // NB: it may fail again when the promise is settled, and an error that nobody listens to ends the process.
    request.on('error', reject);
    request.end(body);
  });
}

/** To its end, or to a bound; what goes wrong here changes nothing, for the status is known. */
function drain(answer: IncomingMessage, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let bytes = 0;
    const done = (): void => {
      answer.destroy();
      resolve();
    };
    answer.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxAnswerBytes) done();
    });
    answer.once('end', done);
    answer.once('close', done);
    answer.on('error', done);
    signal.addEventListener('abort', done, { once: true });
  });
}

function outcomeOf({ statusCode = 0, headers }: IncomingMessage, nowMs: number): Outcome {
  if (statusCode >= 200 && statusCode < 300) return { kind: 'delivered', status: statusCode };
  const why = `it answered ${statusCode}`;
  if (statusCode >= 300 && statusCode < 400) {
    return { kind: 'refused', why: `${why}: redirects are not followed` };
  }
  if (statusCode >= 400 && statusCode < 500 && statusCode !== 408 && statusCode !== 429) {
    return { kind: 'refused', why };
  }
  const askedMs = parseRetryAfter(headers['retry-after'], nowMs);
  return { kind: 'failed', why, ...(askedMs === undefined ? {} : { askedMs }) };
}

function reasonOf(thrown: unknown, signal: AbortSignal, { timeoutMs, signal: ended }: CallOptions): string {
  if (ended.aborted) return 'the controller ended';
  if (signal.aborted) return `no answer within ${timeoutMs} ms`;
  if (thrown instanceof StillframeError) return thrown.message;
  const { message } = toStillframeError(thrown);
  return message === '' ? (codeOf(thrown) ?? 'it cannot be reached') : message;
}

function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && !(thrown instanceof StillframeError)
    ? String(thrown.code)
    : undefined;
}

/**
 * What automation is told over HTTP: Alertmanager's webhook, and rules fired by hand. Only translates. Both want the Bearer token of a file,
 * which is compared before anything else of the request is looked at.
 *
 *   POST /api/v1/alerts             the body of a webhook, version "4"; answered when it is durable, worked off after that
 *   POST /api/v1/rules/NAME/fire    {"labels": {"job": "checkout"}}, or nothing
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import * as z from 'zod';
import type { AutomationLog } from '../automation/automation-log.js';
import { parseAlertPayload } from '../automation/alert-payload.js';
import type { Automation } from '../automation/automation.js';
import { readSecret } from '../automation/secret-file.js';
import { StillframeError, toStillframeError, type ErrorCode } from '../../format/error.js';

export interface AlertRouteOptions {
  readonly automation: Pick<Automation, 'acceptAlerts' | 'fireRule' | 'noteRefusedRequest'>;
  /** Undefined: nobody is let in. */
  readonly tokenFile: string | undefined;
  readonly log: AutomationLog;
}

/** Also `max_alerts: 0` of Alertmanager stays below, for hundreds of alerts. */
const maxBodyBytes = 1024 * 1024;
const retryAfterSeconds = 30;

const fireBody = z.object({ labels: z.record(z.string(), z.string()).default({}) }).nullish();

/** A plug-in: its hooks and its errors are its own. */
export function alertRoutes(options: AlertRouteOptions): (server: FastifyInstance) => Promise<void> {
  const { automation, log } = options;
  return async (server) => {
    // NB: before the body is read, so that nobody without the token can send much.
    server.addHook('onRequest', (request, reply, next) => {
      const refusal = refuse(options.tokenFile, request.headers.authorization);
      if (refusal === undefined) {
        next();
        return;
      }
      automation.noteRefusedRequest('unauthenticated');
      log.warn({ remote: request.ip, reason: refusal.message }, 'request refused');
      void reply.header('www-authenticate', 'Bearer');
      next(refusal);
    });

    server.setErrorHandler((error: FastifyError | StillframeError, request, reply) => {
      const { status, failure } = translate(error);
      if (status === 400 || status === 413 || status === 415) {
        automation.noteRefusedRequest('malformed');
        log.warn({ remote: request.ip, status, reason: failure.message }, 'request refused');
      }
      if (status === 503) void reply.header('retry-after', String(retryAfterSeconds));
      // What breaks inside is for our log.
      if (status >= 500) log.error({ status, reason: error.message }, 'cannot answer a request');
      const { code, message, hint } = failure;
      return reply.code(status).send({ error: { code, message, ...(hint === undefined ? {} : { hint }) } });
    });

    server.post('/api/v1/alerts', { bodyLimit: maxBodyBytes }, (request, reply) => {
      // Durable when accepted; nobody waits for what it sets off.
      const receipt = automation.acceptAlerts(parseAlertPayload(request.body));
      return reply.code(200).send(receipt);
    });

    server.post<{ Params: { name: string } }>(
      '/api/v1/rules/:name/fire',
      { bodyLimit: maxBodyBytes },
      (request, reply) => fire(automation, request, reply),
    );
  };
}

async function fire(
  automation: AlertRouteOptions['automation'],
  request: FastifyRequest<{ Params: { name: string } }>,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const body = fireBody.safeParse(request.body ?? undefined);
  if (!body.success) {
    throw new StillframeError('usage', 'cannot read the body: "labels" must be an object of texts');
  }
  const labels = body.data?.labels ?? {};
  const document = await automation.fireRule(request.params.name, {
    labels,
    owner: `http from ${request.ip}`,
  });
  return reply.code(document.fired ? 200 : 409).send(document);
}

function refuse(tokenFile: string | undefined, header: string | undefined): StillframeError | undefined {
  if (tokenFile === undefined) {
    return new StillframeError('denied', 'this controller has no token for alerts, so nobody may send any', {
      hint: 'start it with a file that holds one',
    });
  }
  let token: string;
  try {
    token = readSecret(tokenFile);
  } catch (error) {
    // The path is nothing for a stranger.
    const cause = toStillframeError(error);
    return new StillframeError('internal', 'cannot check tokens: the token file cannot be read', { cause });
  }
  const given = /^Bearer +([\x21-\x7e]{1,4096}) *$/i.exec(header ?? '')?.[1];
  if (given === undefined) return new StillframeError('denied', 'a Bearer token is missing');
  return isSame(given, token) ? undefined : new StillframeError('denied', 'the Bearer token is wrong');
}

/** Takes as long for every token: hashes have one length, and are compared in constant time. */
function isSame(given: string, token: string): boolean {
  const hash = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(given), hash(token));
}

const statusOfCode: Readonly<Partial<Record<ErrorCode, number>>> = {
  denied: 401,
  'bad-data': 400,
  usage: 400,
  'not-found': 404,
  limit: 503,
};

function translate(error: FastifyError | StillframeError): {
  readonly status: number;
  readonly failure: Pick<StillframeError, 'code' | 'message' | 'hint'>;
} {
  if (error instanceof StillframeError) return { status: statusOfCode[error.code] ?? 500, failure: error };
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    const message = `the body is larger than ${maxBodyBytes / 1024 ** 2} MiB`;
    const hint = 'set max_alerts in the webhook of Alertmanager';
    return { status: 413, failure: { code: 'limit', message, hint } };
  }
  const { statusCode, message } = error;
  if (statusCode === 415) {
    return {
      status: 415,
      failure: { code: 'bad-data', message: 'the body must be application/json', hint: undefined },
    };
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return {
      status: 400,
      failure: { code: 'bad-data', message: `cannot read the body: ${lowerFirst(message)}`, hint: undefined },
    };
  }
  return { status: 500, failure: { code: 'internal', message: 'cannot answer', hint: undefined } };
}

const lowerFirst = (text: string): string => text.slice(0, 1).toLowerCase() + text.slice(1);

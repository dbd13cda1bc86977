/**
 * `POST /api/v1/alerts`, for Alertmanager, and `POST /api/v1/rules/NAME/fire`. Who calls shows a Bearer token; it is looked at before the body
 * is. An answer of 2xx to alerts means that they are kept; they are worked off after that.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import * as z from 'zod';
import { parseAlertPayload } from '../automation/alert-payload.js';
import type { Automation } from '../automation/automation.js';
import { readSecret } from '../automation/secret-file.js';
import { StillframeError } from '../../format/error.js';
import { httpErrorOf } from './http-status.js';
import type { HttpPlugin } from './server.js';

export interface WebhookOptions {
  readonly automation: Pick<Automation, 'acceptAlerts' | 'noteRefusedRequest' | 'fireRule'>;
  /** Read for each request, so that it can be replaced while the controller runs. Undefined: nobody is let in. */
  readonly tokenFile: string | undefined;
}

export function webhooks({ automation, tokenFile }: WebhookOptions): HttpPlugin {
  return (app: FastifyInstance): void => {
    app.addHook('onRequest', async (request, reply) => {
      if (isAuthorized(request, tokenFile)) return undefined;
      automation.noteRefusedRequest('unauthenticated');
      return unauthorized(reply, tokenFile);
    });

    app.post('/api/v1/alerts', async (request) => {
      try {
        return automation.acceptAlerts(parseAlertPayload(request.body));
      } catch (error) {
        if (error instanceof StillframeError && error.code !== 'limit')
          automation.noteRefusedRequest('malformed');
        throw error;
      }
    });

    app.post('/api/v1/rules/:name/fire', async (request) => {
      const { name } = request.params as { readonly name: string };
      const body = fireBody.safeParse(request.body ?? {});
      if (!body.success) {
        throw new StillframeError('usage', `cannot fire rule "${name}": ${z.prettifyError(body.error)}`, {
          hint: 'the body is {"labels": {"NAME": "VALUE"}, "owner": "WHO"}, both of which may be left out',
        });
      }
      const { labels = {}, owner = `webhook ${request.ip}` } = body.data;
      return await automation.fireRule(name, { labels, owner });
    });
  };
}

const maxOwnerLength = 256;

const fireBody = z.strictObject({
  labels: z.record(z.string(), z.string()).optional(),
  owner: z.string().max(maxOwnerLength).optional(),
});

function isAuthorized(request: FastifyRequest, tokenFile: string | undefined): boolean {
  const shown = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (shown === undefined || tokenFile === undefined) return false;
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(shown), digest(readSecret(tokenFile)));
}

function unauthorized(reply: FastifyReply, tokenFile: string | undefined): FastifyReply {
  const hint =
    tokenFile === undefined
      ? 'start the controller with --webhook-token FILE'
      : 'send the header "Authorization: Bearer TOKEN", with the token of the controller\'s --webhook-token';
  const error = new StillframeError('denied', 'this needs a Bearer token', { hint });
  // The body is not read: what is left of it goes with the connection.
  return reply
    .status(401)
    .header('www-authenticate', 'Bearer')
    .header('connection', 'close')
    .send(httpErrorOf(error));
}

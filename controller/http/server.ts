/**
 * HTTP: health, metrics, and what plug-ins add (webhooks). It trusts nobody: bodies, headers, connections, requests at once and the time
 * that any of them may take are bounded. Beyond this host it wants TLS; who may call a webhook, the plug-in decides.
 */
import { createServer, type Server as HttpServer, type ServerOptions } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { fastify, type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify';
import { grpcTarget, refuseExposure, type Endpoint } from '../../format/endpoint.js';
import { StillframeError, toStillframeError, type ErrorCode } from '../../format/error.js';
import type { TlsFiles } from '../../format/tls-files.js';
import { useTlsFiles } from '../service/read-tls-files.js';
import { httpErrorOf, httpStatusOf } from './http-status.js';
import type { ControllerMetrics } from './metrics.js';

/** Adds routes. What a route throws is answered as `{"error": ...}`. */
export type HttpPlugin = (app: FastifyInstance) => void | Promise<void>;

export interface HttpServerOptions {
  readonly endpoint: Endpoint;
  readonly tls: TlsFiles | undefined;
  readonly metrics: ControllerMetrics;
  readonly plugins: readonly HttpPlugin[];
  /** Why requests would not be served now; undefined when they are. */
  readonly refusal: () => string | undefined;
  readonly log: HttpLog;
}

/** What pino offers; never the body or the headers of a request. */
export interface HttpLog {
  debug(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export interface RunningHttpServer extends AsyncDisposable {
  /** With the port that was chosen where 0 was asked. */
  readonly address: string;
}

const maxBodyBytes = 1024 * 1024;
const maxHeaderBytes = 16 * 1024;
const maxHeaders = 100;
const maxInFlight = 64;
const maxConnections = 256;
const headersMs = 5000;
const requestMs = 10_000;
const idleMs = 30_000;
const closeMs = 2000;

/** Throws `denied`, `usage`, `bad-data`, `system`. */
export async function startHttpServer(options: HttpServerOptions): Promise<RunningHttpServer> {
  const { endpoint, tls } = options;
  if (endpoint.kind !== 'tcp') throw new StillframeError('usage', '--http wants HOST:PORT');
  refuseExposure('listen on', endpoint, tls !== undefined);
  const app = makeApp(options);
  for (const plugin of options.plugins) await app.register(async (scope) => plugin(scope));
  try {
    await app.listen({ host: endpoint.host, port: endpoint.port });
  } catch (error) {
    await app.close();
    const { message } = toStillframeError(error);
    throw new StillframeError('system', `cannot listen on ${grpcTarget(endpoint)}: ${message}`, {
      cause: error,
    });
  }
  const bound = app.server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : endpoint.port;
  return {
    address: `${tls === undefined ? 'http' : 'https'}://${grpcTarget({ ...endpoint, port })}`,
    async [Symbol.asyncDispose]() {
      const force = setTimeout(() => app.server.closeAllConnections(), closeMs);
      await app.close();
      clearTimeout(force);
    },
  };
}

function makeApp(options: HttpServerOptions): FastifyInstance {
  const app = fastify({
    logger: false,
    bodyLimit: maxBodyBytes,
    requestTimeout: requestMs,
    connectionTimeout: idleMs,
    keepAliveTimeout: headersMs,
    routerOptions: { maxParamLength: 256 },
    serverFactory: (handler) => {
      const server = makeServer(options.tls);
      server.on('request', handler);
      return server;
    },
  });
  app.removeContentTypeParser('text/plain');
  boundRequests(app);
  addLogging(app, options);
  app.setErrorHandler((error, _, reply) => answerError(reply, errorOf(error), options.log));
  app.setNotFoundHandler((_, reply) =>
    answerError(reply, new StillframeError('not-found', 'there is nothing at this path'), options.log),
  );
  addHealth(app, options.refusal);
  app.get('/metrics', async (_, reply) => {
    const text = await options.metrics.render();
    return reply.type(options.metrics.contentType).send(text);
  });
  return app;
}

function makeServer(tls: TlsFiles | undefined): HttpServer {
  const bounds: ServerOptions = {
    maxHeaderSize: maxHeaderBytes,
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    keepAliveTimeout: headersMs,
    connectionsCheckingInterval: 1000,
  };
  const server = tls === undefined ? createServer(bounds) : makeSecureServer(tls, bounds);
  server.maxConnections = maxConnections;
  server.maxHeadersCount = maxHeaders;
  server.timeout = idleMs;
  return server;
}

/** NB: client certificates are not asked for: what calls webhooks shows a Bearer token. */
function makeSecureServer(tls: TlsFiles, bounds: ServerOptions): HttpServer {
  return useTlsFiles(tls, ({ cert, key }) =>
    createSecureServer({ ...bounds, cert, key, handshakeTimeout: headersMs }),
  );
}

/** Refused before the body is read: what is left of it goes with the connection. */
const unreadStatuses: ReadonlySet<number> = new Set([401, 413, 503]);

function boundRequests(app: FastifyInstance): void {
  app.addHook('onSend', async (_, reply) => {
    if (unreadStatuses.has(reply.statusCode)) reply.header('connection', 'close');
  });
  let inFlight = 0;
  app.addHook('onRequest', async (_, reply) => {
    if (inFlight >= maxInFlight) {
      reply.header('retry-after', '1');
      throw new StillframeError('unreachable', `${maxInFlight} requests are being served already`, {
        hint: 'try again in a moment',
      });
    }
    inFlight += 1;
    reply.raw.once('close', () => (inFlight -= 1));
  });
}

function addLogging(app: FastifyInstance, { metrics, log }: HttpServerOptions): void {
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    const facts = {
      method: request.method,
      route,
      status: reply.statusCode,
      ms: Math.round(reply.elapsedTime),
    };
    log.debug(facts, 'served');
    if (route.startsWith('/api/v1/')) metrics.countWebhook(route, reply.statusCode);
  });
}

function addHealth(app: FastifyInstance, refusal: () => string | undefined): void {
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async () => {
    const why = refusal();
    if (why !== undefined) throw new StillframeError('unreachable', why);
    return { status: 'ok' };
  });
}

interface HttpFailure {
  readonly status: number;
  readonly error: StillframeError;
}

/** What a route threw, or what Fastify refused before it came to a route. */
function errorOf(thrown: unknown): HttpFailure {
  const { statusCode: status, message } = thrown as Partial<FastifyError>;
  if (thrown instanceof StillframeError || status === undefined || status >= 500) {
    const error = toStillframeError(thrown);
    return { status: httpStatusOf(error.code), error };
  }
  const code: ErrorCode = status === 413 ? 'limit' : status === 404 ? 'not-found' : 'usage';
  const hint = status === 413 ? { hint: `at most ${maxBodyBytes} bytes are taken` } : {};
  const text = (message ?? 'refused').replace(/^[A-Z]/, (letter) => letter.toLowerCase());
  return { status, error: new StillframeError(code, text, hint) };
}

function answerError(
  reply: FastifyReply,
  failure: HttpFailure | StillframeError,
  log: HttpLog,
): FastifyReply {
  const { status, error } =
    failure instanceof StillframeError ? { status: httpStatusOf(failure.code), error: failure } : failure;
  if (error.code !== 'internal') return reply.status(status).send(httpErrorOf(error));
  const cause = error.cause instanceof Error ? error.cause : error;
  log.error({ error: error.message, stack: cause.stack }, 'request failed');
  // A bug of ours is for our log.
  return reply.status(500).send(httpErrorOf(new StillframeError('internal', 'internal error')));
}

/** A real web server on loopback that writes down what it is sent, and answers as a test says. */
import {
  createServer as createHttp,
  type IncomingHttpHeaders,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface ReceivedCall {
  readonly path: string;
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export type Answer = number | ((response: ServerResponse, call: ReceivedCall) => void);

export interface WebhookServer extends AsyncDisposable {
  readonly url: string;
  readonly calls: readonly ReceivedCall[];
  /** Resolves when so many calls have come; rejects after a minute. */
  received(count: number): Promise<readonly ReceivedCall[]>;
}

/** `answers`: one for each call; the last for all that follow. */
export async function startWebhookServer(
  answers: readonly Answer[] = [200],
  options: { readonly tls?: { readonly key: string; readonly cert: string }; readonly port?: number } = {},
): Promise<WebhookServer> {
  const calls: ReceivedCall[] = [];
  let tell: () => void = () => undefined;
  const handle: Parameters<typeof createHttp>[1] = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('error', () => undefined);
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { url: path = '', method = '', headers } = request;
      const call = { path, method, headers, body: Buffer.concat(chunks).toString('utf8') };
      calls.push(call);
      const answer = answers[Math.min(calls.length, answers.length) - 1] ?? 200;
      if (typeof answer === 'number') response.writeHead(answer).end('{"ok":true}');
      else answer(response, call);
      tell();
    });
  };
  const { tls } = options;
  const server: Server = tls === undefined ? createHttp(handle) : createHttps(tls, handle);
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/hook`,
    calls,
    async received(count) {
      const deadline = AbortSignal.timeout(60_000);
      while (calls.length < count) {
        await new Promise<void>((resolve, reject) => {
          tell = resolve;
          deadline.addEventListener('abort', () =>
            reject(new Error(`${calls.length} of ${count} calls came`)),
          );
        });
      }
      return calls;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

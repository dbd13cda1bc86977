/** A small HTTP server on loopback that answers as a test says. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

export interface HttpFake extends AsyncDisposable {
  readonly url: string;
  readonly requests: { readonly path: string; readonly authorization: string | undefined }[];
}

export async function httpFake(
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<HttpFake> {
  const requests: HttpFake['requests'] = [];
  const server = createServer((request, response) => {
    requests.push({ path: request.url ?? '', authorization: request.headers.authorization });
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

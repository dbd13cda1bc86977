import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { fromLong, toLong } from '../../../proto/long.js';
import { fleetGatewayService, type CommandProperties, type Event } from '../../../proto/service.js';
import { openWorkplace, type Workplace } from '../../support/cli.js';
import { repositoryRoot } from '../../support/paths.js';

/** An agent that dials holds the same conversation. */
type Stream = ServerDuplexStream<Event, CommandProperties>;

let workplace: Workplace;
let server: Server;
let port: number;
const streams: Stream[] = [];
const events: Event[] = [];

async function serve(at: number): Promise<void> {
  server = new Server();
  server.addService(fleetGatewayService, {
    converse: (stream: Stream) => {
      streams.push(stream);
      stream.on('data', (event: Event) => events.push(event));
      stream.on('error', () => undefined);
    },
  });
  port = await new Promise((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${at}`, ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
}

beforeEach(async () => {
  workplace = openWorkplace();
  streams.length = 0;
  events.length = 0;
  await serve(0);
});
afterEach(async () => {
  server.forceShutdown();
  await workplace[Symbol.asyncDispose]();
});

async function heard(body: Event['body'], from = 0): Promise<Event> {
  for (let i = 0; i < 600; i++) {
    const found = events.slice(from).find((event) => event.body === body);
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`no ${body}`);
}

test('it greets unasked, answers, and dials again when the controller comes back', async () => {
  const main = `${repositoryRoot}/bin/stillframe.js`;
  const args = [main, 'agent', '--dial', `127.0.0.1:${port}`, '--spool', `${workplace.folder}/spool`];
  const agent = await workplace.startProgram(process.execPath, args, { ready: /ready, dialing/ });
  expect((await heard('hello')).hello).toMatchObject({ pid: agent.pid });
  streams[0]?.write({ request: toLong(7), listTargets: { selector: String(process.pid) } });
  const answer = await heard('targets');
  expect(fromLong(answer.request)).toBe(7n);
  expect(answer.targets?.targets?.[0]).toMatchObject({ pid: process.pid });

  server.forceShutdown();
  const before = events.length;
  await serve(port);
  await heard('hello', before);
  expect(streams.length).toBeGreaterThanOrEqual(2);
});

test('beyond this host it wants TLS', async () => {
  const result = await workplace.run(
    'agent',
    '--dial',
    '192.0.2.1:7443',
    '--spool',
    `${workplace.folder}/spool`,
  );
  expect(result).toMatchObject({
    status: 5,
    stderr: expect.stringContaining(
      'cannot dial 192.0.2.1 without TLS\nhint: give --tls-cert, --tls-key and --tls-ca\n',
    ) as string,
  });
});

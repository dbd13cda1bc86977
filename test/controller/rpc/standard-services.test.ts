import { ChannelCredentials, Client } from '@grpc/grpc-js';
import protobuf from 'protobufjs';
import descriptor, { type IFileDescriptorProto } from 'protobufjs/ext/descriptor.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serveHealth, type Health } from '../../../controller/rpc/health.js';
import { serveReflection } from '../../../controller/rpc/reflection.js';
import { pointNamed, serveFake, type ServedController } from '../../support/fake-controller.js';

/** A client that knows nothing of Stillframe: all it has are the published messages of two standard services. */
const standard = protobuf.parse(
  `syntax = "proto3"; package standard;
   message HealthCheckRequest { string service = 1; }
   message HealthCheckResponse { int32 status = 1; }
   message ServerReflectionRequest {
     string host = 1; string file_by_filename = 3; string file_containing_symbol = 4; string list_services = 7;
   }
   message FileDescriptorResponse { repeated bytes file_descriptor_proto = 1; }
   message ServiceResponse { string name = 1; }
   message ListServiceResponse { repeated ServiceResponse service = 1; }
   message ErrorResponse { int32 error_code = 1; string error_message = 2; }
   message ServerReflectionResponse {
     FileDescriptorResponse file_descriptor_response = 4; ListServiceResponse list_services_response = 6;
     ErrorResponse error_response = 7;
   }`,
).root;

let served: ServedController;
let health: Health | undefined;
let client: Client;
const labels: unknown[] = [];

beforeAll(async () => {
  served = await serveFake(
    {
      points: (reference) => Promise.resolve([pointNamed(reference ?? 'all')]),
      fireRule: (rule, options) => {
        labels.push(rule, options);
        return Promise.resolve({ rule, fired: true, why: '' });
      },
    },
    {
      more: (server) => {
        health = serveHealth(server, ['stillframe.v1.Controller']);
        serveReflection(server, ['stillframe.v1.Controller']);
      },
    },
  );
  client = new Client(served.address, ChannelCredentials.createInsecure());
});
afterAll(async () => {
  client.close();
  await served[Symbol.asyncDispose]();
});

interface Codec {
  readonly encode: (value: object) => Buffer;
  readonly decode: (bytes: Buffer) => object;
}

function codec(root: protobuf.Root, name: string): Codec {
  const type = root.lookupType(name);
  return {
    encode: (value) => Buffer.from(type.encode(type.fromObject(value)).finish()),
    decode: (bytes) => type.toObject(type.decode(bytes), { defaults: true, longs: String }),
  };
}

function unary(path: string, request: Codec, response: Codec, message: object): Promise<object> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, request.encode, response.decode, message, (error, answer) => {
      if (error !== null) reject(error);
      else resolve(answer ?? {});
    });
  });
}

interface Reflected {
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto: readonly Uint8Array[] };
  readonly listServicesResponse?: { readonly service: readonly { readonly name: string }[] };
  readonly errorResponse?: { readonly errorCode: number };
}

function reflect(version: 'v1' | 'v1alpha', message: object): Promise<Reflected> {
  return new Promise((resolve, reject) => {
    const stream = client.makeBidiStreamRequest(
      `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      codec(standard, 'standard.ServerReflectionRequest').encode,
      codec(standard, 'standard.ServerReflectionResponse').decode,
    );
    stream.on('error', reject);
    stream.once('data', (answer: Reflected) => {
      resolve(answer);
      stream.end();
    });
    stream.write(message);
  });
}

async function reflectedRoot(symbol: string): Promise<protobuf.Root> {
  const { fileDescriptorResponse } = await reflect('v1', { fileContainingSymbol: symbol });
  const file = (fileDescriptorResponse?.fileDescriptorProto ?? []).map(
    (bytes) => descriptor.FileDescriptorProto.decode(bytes) as IFileDescriptorProto,
  );
  const root = protobuf.Root.fromDescriptor({ file });
  root.resolveAll();
  return root;
}

describe('server reflection', () => {
  test.each(['v1', 'v1alpha'] as const)('%s lists the services', async (version) => {
    const { listServicesResponse } = await reflect(version, { listServices: '*' });
    expect(listServicesResponse?.service.map(({ name }) => name).toSorted()).toEqual([
      'grpc.health.v1.Health',
      'stillframe.v1.Controller',
    ]);
  });

  test('a client made from what was reflected calls the controller', async () => {
    const root = await reflectedRoot('stillframe.v1.Controller');
    const method = root.lookupService('stillframe.v1.Controller').methods['Points'];
    const answer = await unary(
      '/stillframe.v1.Controller/Points',
      codec(root, method?.requestType ?? ''),
      codec(root, method?.responseType ?? ''),
      { point: '0t3k' },
    );
    expect(JSON.parse((answer as { json: string[] }).json[0] ?? '')).toMatchObject({ id: '0t3k' });
  });

  test('maps and optional fields are as the contract has them', async () => {
    const root = await reflectedRoot('stillframe.v1.FireRuleRequest');
    const request = codec(root, 'stillframe.v1.FireRuleRequest');
    await unary('/stillframe.v1.Controller/FireRule', request, codec(root, 'stillframe.v1.Document'), {
      rule: 'errors',
      labels: { job: 'shop' },
      owner: 'eva',
    });
    expect(labels).toEqual(['errors', { labels: { job: 'shop' }, owner: 'eva' }]);
    const bounds = root.lookupType('stillframe.v1.CaptureBounds');
    const presence = (value: object): object => bounds.toObject(bounds.decode(bounds.encode(value).finish()));
    expect(presence({ depth: 0 })).toEqual({ depth: 0 });
    expect(presence({})).toEqual({});
  });

  test('an unknown symbol is an answer', async () => {
    expect(await reflect('v1', { fileContainingSymbol: 'nobody.Knows' })).toMatchObject({
      errorResponse: { errorCode: 5 },
    });
  });
});

describe('health', () => {
  const check = (service: string): Promise<object> =>
    unary(
      '/grpc.health.v1.Health/Check',
      codec(standard, 'standard.HealthCheckRequest'),
      codec(standard, 'standard.HealthCheckResponse'),
      { service },
    );

  test('overall and for each service: not serving until it is said to', async () => {
    for (const service of ['', 'stillframe.v1.Controller'])
      expect(await check(service)).toEqual({ status: 2 });
    health?.set(true);
    for (const service of ['', 'stillframe.v1.Controller'])
      expect(await check(service)).toEqual({ status: 1 });
    health?.set(false);
    expect(await check('')).toEqual({ status: 2 });
    await expect(check('nobody.Knows')).rejects.toMatchObject({ code: 5 });
  });

  test('whoever watches is told of a change', async () => {
    const statuses: number[] = [];
    const stream = client.makeServerStreamRequest(
      '/grpc.health.v1.Health/Watch',
      codec(standard, 'standard.HealthCheckRequest').encode,
      codec(standard, 'standard.HealthCheckResponse').decode,
      { service: '' },
    );
    stream.on('error', () => undefined);
    stream.on('data', (answer: { status: number }) => {
      statuses.push(answer.status);
      if (statuses.length === 1) health?.set(true);
      else stream.cancel();
    });
    await expect.poll(() => statuses).toEqual([2, 1]);
  });
});

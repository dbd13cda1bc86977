/** Server reflection (`grpc.reflection.v1` and `v1alpha`): generic clients ask what this server offers and how it is spelled. */
import { readFileSync } from 'node:fs';
import type { Server } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { service as healthService } from 'grpc-health-check';
import protobuf from 'protobufjs/minimal.js';

/** proto/generate.mjs writes it beside the code of the messages. */
const descriptorsFile = new URL('../../proto/generated/descriptors.bin', import.meta.url);

type PackageDefinition = ConstructorParameters<typeof ReflectionService>[0];

/** Adds the service to a server that is not started yet. `services`: full names of those that it has; the contract describes more. */
export function serveReflection(server: Server, services: readonly string[]): void {
  const health = healthService['Check']?.requestType.fileDescriptorProtos ?? [];
  const files = [...filesOf(readFileSync(descriptorsFile)), ...health];
  // NB: of a package's definitions only the descriptors of its files are looked at.
  const definition = { fileDescriptorProtos: files, format: '', type: {} };
  const definitions = { all: definition } as unknown as PackageDefinition;
  new ReflectionService(definitions, { services: [...services, 'grpc.health.v1.Health'] }).addToServer(
    server,
  );
}

/** The files of a FileDescriptorSet (`repeated FileDescriptorProto file = 1`), each encoded as it stands there. */
function filesOf(set: Uint8Array): Buffer[] {
  const reader = protobuf.Reader.create(set);
  const files: Buffer[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (tag >>> 3 === 1) files.push(Buffer.from(reader.bytes()));
    else reader.skipType(tag & 7);
  }
  return files;
}

/** The services of `native-fixtures`, one in each language, running, with an agent beside them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openWorkplace, type StartedProgram, type Workplace } from './cli.js';
import { compileNative, cplusplus, go, rustc, type Toolchain } from './compile-native.js';
import { repositoryRoot } from './paths.js';

export interface LanguageService {
  readonly folder: string;
  readonly file: string;
  readonly toolchain: Toolchain;
}

export const cplusplusService: LanguageService = {
  folder: 'cplusplus-service',
  file: 'service.cc',
  toolchain: cplusplus('g++', '-O0', '-std=c++17', '-pthread'),
};
export const rustService: LanguageService = {
  folder: 'rust-service',
  file: 'service.rs',
  toolchain: rustc(),
};
export const goService: LanguageService = {
  folder: 'go-service',
  file: 'service.go',
  toolchain: go('-gcflags=all=-N -l'),
};

export interface RunningService extends AsyncDisposable {
  readonly workplace: Workplace;
  readonly service: StartedProgram;
  /** `service.cc:64`, by the mark in the source. */
  readonly location: string;
}

export async function startService(
  { folder, file, toolchain }: LanguageService,
  { withoutAgent = false }: { readonly withoutAgent?: boolean } = {},
): Promise<RunningService> {
  const source = readFileSync(join(repositoryRoot, 'native-fixtures', folder, file), 'utf8');
  const program = compileNative(source, 'service', toolchain);
  const line = source.split('\n').findIndex((text) => text.includes('PROBE: handle')) + 1;
  const workplace = openWorkplace();
  const service = await workplace.startProgram(program, [], { ready: 'started' });
  if (!withoutAgent) await workplace.startAgent();
  const location = `service.${toolchain.extension}:${line}`;
  return { workplace, service, location, [Symbol.asyncDispose]: () => workplace[Symbol.asyncDispose]() };
}

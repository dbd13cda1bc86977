/**
 * Client of debuginfod servers (elfutils, debuginfod(8)): debug files by build id over HTTP. Files are kept where elfutils' own client keeps
 * them, so that gdb and we share them. Servers are not trusted: what comes is bounded in size and time, and is used only with the build
 * id that was asked for. There is no client unless DEBUGINFOD_URLS is set.
 */
// NB: `node:fs/promises` would be loaded by every command, and most never ask a server.
import { existsSync, promises as files, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { openElf } from '../../format/elf/open.js';
import { StillframeError, toStillframeError } from '../../format/error.js';
import { findFileSource } from './debug-file-source.js';

export interface DebuginfodOptions {
  /** Base URLs, asked one after another. */
  readonly servers: readonly string[];
  readonly cacheFolder: string;
  /** How long a server may be silent. */
  readonly timeoutMs: number;
  /** How long one file may take. */
  readonly maxTimeMs: number;
  readonly maxBytes: number;
}

/** A miss is believed for as long as elfutils believes it (cache_miss_s). */
const missMs = 600_000;
const defaultTimeoutMs = 90_000;
const defaultMaxTimeMs = 30 * 60_000;
const defaultMaxBytes = 2 ** 31 - 1;

/** What the environment says, in the words of debuginfod-find(1); undefined where DEBUGINFOD_URLS is not set. */
export function debuginfodFromEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Debuginfod | undefined {
  const servers = (environment['DEBUGINFOD_URLS'] ?? '')
    .split(/\s+/)
    .filter((url) => /^https?:\/\//.test(url));
  if (servers.length === 0) return undefined;
  const seconds = (name: string): number | undefined => positive(environment[name], 1000);
  return new Debuginfod({
    servers,
    cacheFolder: cacheFolderFrom(environment),
    timeoutMs: seconds('DEBUGINFOD_TIMEOUT') ?? defaultTimeoutMs,
    maxTimeMs: seconds('DEBUGINFOD_MAXTIME') ?? defaultMaxTimeMs,
    maxBytes: Math.min(positive(environment['DEBUGINFOD_MAXSIZE'], 1) ?? defaultMaxBytes, defaultMaxBytes),
  });
}

function positive(text: string | undefined, unit: number): number | undefined {
  const value = Number(text ?? '');
  return Number.isFinite(value) && value > 0 ? value * unit : undefined;
}

function cacheFolderFrom(environment: Readonly<Record<string, string | undefined>>): string {
  const own = environment['DEBUGINFOD_CACHE_PATH'];
  if (own) return own;
  const home = environment['HOME'] || homedir();
  const old = join(home, '.debuginfod_client_cache');
  if (existsSync(old)) return old;
  return join(environment['XDG_CACHE_HOME'] || join(home, '.cache'), 'debuginfod_client');
}

export class Debuginfod {
  readonly #options: DebuginfodOptions;
  readonly #running = new Map<string, Promise<string | undefined>>();

  constructor(options: DebuginfodOptions) {
    this.#options = options;
  }

  /** Where the debug file of a build id is in the cache, whoever fetched it; undefined where it is not. */
  cachedPath(buildId: string): string | undefined {
    if (!isBuildId(buildId)) return undefined;
    const path = this.#path(buildId);
    return sizeOf(path) > 0 ? path : undefined;
  }

  #path(buildId: string): string {
    return join(this.#options.cacheFolder, buildId, 'debuginfo');
  }

  /**
   * Brings the debug file into the cache and gives its path; undefined where no server has it. Throws `unreachable`, `limit` or
   * `bad-data` when servers failed and none had it.
   */
  fetch(buildId: string, signal?: AbortSignal): Promise<string | undefined> {
    const known = this.#running.get(buildId);
    if (known !== undefined) return known;
    const fetching = this.#fetch(buildId, signal).finally(() => this.#running.delete(buildId));
    this.#running.set(buildId, fetching);
    return fetching;
  }

  async #fetch(buildId: string, signal: AbortSignal | undefined): Promise<string | undefined> {
    if (!isBuildId(buildId)) return undefined;
    const cached = this.cachedPath(buildId);
    if (cached !== undefined) return cached;
    const path = this.#path(buildId);
    if (this.#isKnownMiss(path)) return undefined;
    await files.mkdir(join(this.#options.cacheFolder, buildId), { recursive: true, mode: 0o700 });
    let problem: StillframeError | undefined;
    for (const server of this.#options.servers) {
      try {
        if (await this.#download(server, buildId, path, signal)) return path;
      } catch (error) {
        problem ??= toStillframeError(error);
        if (signal?.aborted === true) break;
      }
    }
    if (problem !== undefined) throw problem;
    await files.writeFile(path, '', { mode: 0o600 });
    return undefined;
  }

  /** An empty file says that nobody had it a while ago. */
  #isKnownMiss(path: string): boolean {
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat !== undefined && stat.size === 0 && Date.now() - stat.mtimeMs < missMs;
  }

  /** False when the server has no such file. */
  async #download(
    server: string,
    buildId: string,
    path: string,
    outer: AbortSignal | undefined,
  ): Promise<boolean> {
    const { timeoutMs, maxTimeMs, maxBytes } = this.#options;
    const url = `${server.replace(/\/+$/, '')}/buildid/${buildId}/debuginfo`;
    const silence = new Silence(timeoutMs);
    const signals = [silence.signal, AbortSignal.timeout(maxTimeMs), ...(outer === undefined ? [] : [outer])];
    const partial = `${path}.${process.pid}.${Date.now().toString(36)}`;
    try {
      const response = await fetch(url, {
        signal: AbortSignal.any(signals),
        headers: { 'user-agent': 'stillframe', 'x-debuginfod-maxsize': String(maxBytes) },
      });
      silence.broken();
      if (response.status === 404) {
        await response.body?.cancel();
        return false;
      }
      if (!response.ok || response.body === null) {
        await response.body?.cancel();
        throw new StillframeError('unreachable', `cannot fetch ${url}: HTTP status ${response.status}`);
      }
      await receive(response.body, partial, { url, maxBytes, progress: () => silence.broken() });
      verify(partial, buildId, url);
      await files.rename(partial, path);
      return true;
    } catch (error) {
      if (error instanceof StillframeError) throw error;
      throw new StillframeError('unreachable', `cannot fetch ${url}: ${reasonOf(error, signals)}`, {
        cause: error,
      });
    } finally {
      silence.stop();
      await files.rm(partial, { force: true });
    }
  }
}

/** Aborts when nothing was heard for a while. */
class Silence {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(timeoutMs: number) {
    this.#timer = setTimeout(
      () => this.#controller.abort(new Error(`nothing came for ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  broken(): void {
    this.#timer.refresh();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

interface Reception {
  readonly url: string;
  readonly maxBytes: number;
  readonly progress: () => void;
}

async function receive(body: ReadableStream<Uint8Array>, path: string, reception: Reception): Promise<void> {
  const { url, maxBytes, progress } = reception;
  // As elfutils leaves them: nobody is to change a file that is named by its contents.
  const file = await files.open(path, 'wx', 0o400);
  try {
    let size = 0;
    for await (const chunk of body) {
      progress();
      size += chunk.length;
      if (size > maxBytes) {
        throw new StillframeError('limit', `cannot fetch ${url}: it has more than ${maxBytes} bytes`, {
          hint: 'DEBUGINFOD_MAXSIZE sets how large a file may be',
        });
      }
      await file.writeFile(chunk);
    }
  } finally {
    await file.close();
  }
}

/** Throws unless the file is one of that build id. */
function verify(path: string, buildId: string, url: string): void {
  const source = findFileSource(path);
  if (source === undefined) throw new StillframeError('system', `cannot read "${path}"`);
  const found = openElf({
    name: url,
    size: source.size,
    read: (offset, length) => source.read(offset, length),
  });
  if (found.buildId !== buildId) {
    throw new StillframeError('mismatch', `cannot use ${url}: it has build id ${found.buildId ?? 'none'}`);
  }
}

function reasonOf(error: unknown, signals: readonly AbortSignal[]): string {
  const aborted: unknown = signals.find((signal) => signal.aborted)?.reason;
  if (aborted instanceof Error) return aborted.message;
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}

/** Also keeps the name of a folder from being anything else. */
function isBuildId(text: string): boolean {
  return /^(?:[0-9a-f]{2}){2,64}$/.test(text);
}

function sizeOf(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat?.isFile() === true ? stat.size : 0;
}

/** Delve on a core, asked by its JSON-RPC on a port of this machine. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** As far as tests look: `service/api` of delve. `kind` is reflect.Kind. */
export interface DelveVariable {
  readonly name: string;
  readonly addr: number;
  readonly type: string;
  readonly flags: number;
  readonly kind: number;
  readonly value: string;
  readonly len: number;
  readonly cap: number;
  readonly children: readonly DelveVariable[];
  readonly unreadable: string;
}

export interface DelveLocation {
  readonly pc: number;
  readonly file: string;
  readonly line: number;
  readonly function: { readonly name: string } | null;
}

export interface DelveGoroutine {
  readonly id: number;
  readonly threadID: number;
  readonly status: number;
  readonly waitReason: number;
}

export interface DelveLimits {
  readonly maxElements: number;
  readonly maxStringBytes: number;
  readonly depth: number;
}

/** Values of more bytes than these are no test's. */
const maxAnswerBytes = 256 * 1024 * 1024;

export class Delve implements AsyncDisposable {
  readonly #end: () => Promise<void>;
  readonly #socket: Socket;
  readonly #waiting: { answer: (line: string) => void; fail: (error: Error) => void }[] = [];
  #rest: Buffer[] = [];
  #restBytes = 0;

  private constructor(socket: Socket, end: () => Promise<void>) {
    this.#socket = socket;
    this.#end = end;
    socket.on('data', (bytes) => this.#take(bytes));
    socket.once('close', () => {
      for (const { fail } of this.#waiting) fail(new Error('delve is gone'));
    });
  }

  /** `command`: a delve that knows the program's version of Go. */
  static async open(program: string, core: string, command = 'dlv'): Promise<Delve> {
    const args = ['core', program, core, '--headless', '--listen=127.0.0.1:0', '--api-version=2'];
    const child = spawn(command, [...args, '--check-go-version=false'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = once(child, 'exit');
    const end = async (): Promise<void> => {
      child.kill('SIGKILL');
      await ended;
    };
    try {
      const port = await new Promise<number>((resolve, reject) => {
        let said = '';
        const listen = (text: Buffer): void => {
          said += text.toString();
          const found = /listening at: 127\.0\.0\.1:(\d+)/.exec(said);
          if (found !== null) resolve(Number(found[1]));
        };
        child.stdout.on('data', listen);
        child.stderr.on('data', listen);
        child.once('error', reject);
        child.once('exit', (code) => reject(new Error(`delve ended with ${code}: ${said}`)));
      });
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      return new Delve(socket, end);
    } catch (error) {
      await end();
      throw error;
    }
  }

  #take(bytes: Buffer): void {
    this.#rest.push(bytes);
    this.#restBytes += bytes.length;
    if (this.#restBytes > maxAnswerBytes) this.#socket.destroy(new Error('an answer of delve is too long'));
    if (!bytes.includes(10)) return;
    const lines = Buffer.concat(this.#rest).toString('utf8').split('\n');
    const last = lines.pop() ?? '';
    this.#rest = last === '' ? [] : [Buffer.from(last)];
    this.#restBytes = last.length;
    for (const line of lines) this.#waiting.shift()?.answer(line);
  }

  async #call(method: string, parameters: object): Promise<Record<string, unknown>> {
    const line = await new Promise<string>((resolve, reject) => {
      this.#waiting.push({ answer: resolve, fail: reject });
      this.#socket.write(
        `${JSON.stringify({ method: `RPCServer.${method}`, params: [parameters], id: 1 })}\n`,
      );
    });
    const answer = JSON.parse(line) as { result: Record<string, unknown> | null; error: unknown };
    if (answer.result === null) throw new Error(`delve cannot ${method}: ${JSON.stringify(answer.error)}`);
    return answer.result;
  }

  async goroutines(): Promise<readonly DelveGoroutine[]> {
    const result = await this.#call('ListGoroutines', { Start: 0, Count: 0 });
    return result['Goroutines'] as DelveGoroutine[];
  }

  async stack(goroutine: number): Promise<readonly DelveLocation[]> {
    const result = await this.#call('Stacktrace', { Id: goroutine, Depth: 200, Full: false });
    return result['Locations'] as DelveLocation[];
  }

  /** Arguments and locals of a frame, those of inner blocks last. */
  async variables(goroutine: number, frame: number, limits: DelveLimits): Promise<readonly DelveVariable[]> {
    const parameters = {
      Scope: { GoroutineID: goroutine, Frame: frame, DeferredCall: 0 },
      Cfg: {
        FollowPointers: true,
        MaxVariableRecurse: limits.depth,
        MaxStringLen: limits.maxStringBytes,
        MaxArrayValues: limits.maxElements,
        MaxStructFields: -1,
      },
    };
    const args = await this.#call('ListFunctionArgs', parameters);
    const locals = await this.#call('ListLocalVars', parameters);
    return [...(args['Args'] as DelveVariable[]), ...(locals['Variables'] as DelveVariable[])];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    await this.#end();
  }
}

/** Asks a core of a test program, in the frame of one of its functions: values and errors as a person sees them. */
import { inline } from '../../controller/cli/render-value.js';
import { evaluateText, renderContext } from '../../controller/snapshot/evaluate.js';
import { threadStack, type LogicalFrame } from '../../controller/snapshot/frames.js';
import { goroutines } from '../../controller/snapshot/goroutines.js';
import { openSnapshot, type Snapshot, type SnapshotThread } from '../../controller/snapshot/open.js';
import { renderValue } from '../../controller/types/render.js';
import { isAbsent } from '../../format/absent.js';
import { toStillframeError } from '../../format/error.js';

export class CoreQuestions implements Disposable {
  readonly #snapshot: Snapshot;
  readonly #thread: SnapshotThread;
  readonly #frame: LogicalFrame;

  constructor(core: string, functionName: string) {
    const snapshot = openSnapshot(core);
    const all = goroutines(snapshot);
    const waiting =
      all === undefined || isAbsent(all) ? [] : all.flatMap((each) => (isAbsent(each) ? [] : [each.stack]));
    for (const thread of [...snapshot.threads, ...waiting]) {
      if (thread.absent !== undefined) continue;
      const frame = threadStack(snapshot, thread).frames.find((each) => each.function === functionName);
      if (frame === undefined) continue;
      this.#snapshot = snapshot;
      this.#thread = thread;
      this.#frame = frame;
      return;
    }
    snapshot[Symbol.dispose]();
    throw new Error(`no frame of ${functionName} in ${core}`);
  }

  [Symbol.dispose](): void {
    this.#snapshot[Symbol.dispose]();
  }

  /** `int 42`; what is absent with its whole detail; an error with a line that points into the text. */
  answer(text: string): string {
    try {
      const value = evaluateText(text, this.#snapshot, this.#thread, this.#frame);
      const context = renderContext(this.#snapshot, this.#frame, { depth: 1 });
      const document = renderValue(value, { ...context, path: text });
      const { absent, type } = document;
      if (absent !== undefined) return `${type} <${absent.reason}: ${absent.detail}>`;
      return `${type} ${inline(document)}`;
    } catch (thrown) {
      const error = toStillframeError(thrown);
      if (error.code !== 'bad-expression') throw thrown;
      const { position = -1, length = 0 } = error.detail;
      const message = error.message.replace(/^cannot understand .* at character \d+: /s, '');
      const hint = error.hint === undefined ? '' : `\n${error.hint}`;
      return `${text}\n${' '.repeat(Math.max(0, position))}${'^'.repeat(length)}\n${message}${hint}`;
    }
  }
}

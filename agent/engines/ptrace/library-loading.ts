/**
 * Breakpoints belong to addresses, and a library has some only while it is loaded. So the process is looked at again and again: breakpoints are set when it has
 * loaded the library, and taken away when it has unloaded it.
 */
import { toStillframeError } from '../../../format/error.js';
import type { LibraryFile } from '../../targets/library-file.js';
import type { ProbeFile } from '../../targets/probe-file.js';
import { ProgramImage } from '../../targets/program-image.js';
import type { PointEnd } from '../engine.js';

const lookMs = 100;
/** It is seldom unloaded, and what hits is looked at anyway. */
const lookAgainMs = 1000;

export const unseenBefore: string = `breakpoints are set when the library has been loaded, which is looked for every ${lookMs} ms: who passes before that is not seen`;

type PlacedSite = ProbeFile['sites'][number];

export interface LoadingMeans {
  /** Where it lies in the process; none when it is not loaded after all. */
  readonly find: () => readonly PlacedSite[];
  readonly set: (sites: readonly PlacedSite[]) => Promise<void>;
  readonly unset: () => Promise<void>;
  /** It cannot go on. */
  readonly failed: (reason: PointEnd) => void;
}

export class LibraryLoading {
  readonly #library: LibraryFile;
  readonly #means: LoadingMeans;
  readonly #image: ProgramImage;
  /** Where breakpoints are set; none where they are not. */
  #set: readonly PlacedSite[] = [];
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #look: Promise<void> = Promise.resolve();

  constructor(library: LibraryFile, means: LoadingMeans) {
    this.#library = library;
    this.#means = means;
    this.#image = new ProgramImage(library.pid);
  }

  start(set: readonly PlacedSite[]): void {
    this.#set = set;
    this.#wait();
  }

  #wait(): void {
    if (this.#stopped) return;
    const ms = this.#set.length > 0 ? lookAgainMs : lookMs;
    this.#timer = setTimeout(() => {
      this.#look = this.#lookOnce();
    }, ms);
  }

  /** Never rejects. */
  async #lookOnce(): Promise<void> {
    try {
      await this.#follow();
      this.#wait();
    } catch (error) {
      const { code, message } = toStillframeError(error);
      const kind = code === 'target-gone' ? 'target-gone' : 'failed';
      // NB: not awaited here: who is told stops this, and waits for this look.
      if (!this.#stopped) this.#means.failed({ kind, detail: message });
    }
  }

  async #follow(): Promise<void> {
    const { pid } = this.#library;
    if (this.#image.isAnother()) {
      if (!this.#stopped)
        this.#means.failed({ kind: 'target-gone', detail: `process ${pid} executed another program` });
      this.#stopped = true;
      return;
    }
    // Loaded again at another place, it is another one.
    const [first] = this.#set;
    if (first !== undefined && !this.#library.holds(first.address, first.fileOffset)) {
      await this.#means.unset();
      this.#set = [];
    }
    if (this.#set.length > 0 || this.#library.whyNot() !== '') return;
    const sites = this.#means.find();
    if (sites.length === 0) return;
    await this.#means.set(sites);
    this.#set = sites;
  }

  /** Undefined when the process is gone. */
  whyNot(): string | undefined {
    try {
      return this.#library.whyNot();
    } catch (error) {
      if (toStillframeError(error).code === 'target-gone') return undefined;
      throw error;
    }
  }

  /** Whether something else than the library's code lies there. A process that is gone is not asked: what it brought was true. */
  isElsewhere({ address, fileOffset }: PlacedSite): boolean {
    try {
      return !this.#library.holds(address, fileOffset);
    } catch (error) {
      if (toStillframeError(error).code === 'target-gone') return false;
      throw error;
    }
  }

  /** Resolves when nothing is being set any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#look;
  }
}

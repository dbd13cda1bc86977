/** Answers questions to debug information in the thread that asks. */
import { existsSync } from 'node:fs';
import { isAbsent } from '../../format/absent.js';
import { StillframeError, toStillframeError } from '../../format/error.js';
import type { StackSignature } from '../automation/incident-store.js';
import { stackSignature } from '../automation/stack-signature.js';
import { bringDebugFiles } from '../snapshot/fetch-debug-files.js';
import { leavesOf, type Leaves } from '../snapshot/leaves.js';
import type { OpenSymbols } from '../snapshot/module.js';
import { openSnapshot, type Snapshot } from '../snapshot/open.js';
import { SharedSymbols } from '../snapshot/shared-symbols.js';
import { evaluateExpressions, showSnapshot } from '../snapshot/show.js';
import type { ModuleSymbols } from '../symbols/module-symbols.js';
import type { ValueDocument } from '../types/value-document.js';
import { openModuleFile, type ModuleFile } from './module-file.js';
import { planModule } from './planning.js';
import type {
  CoreQuestion,
  EvaluateQuestion,
  PlannedModule,
  PlanQuestion,
  ShownSnapshot,
  ShowQuestion,
  SymbolAnswers,
} from './symbol-answers.js';
import { asksDebuginfod, bringDebugFile, debugDirectories } from './symbols.js';

/** Builds that are held open for plans: a point that fits many processes is planned for few. */
const maxPlanned = 4;

interface HeldModule {
  readonly symbols: ModuleSymbols;
  readonly file: ModuleFile;
}

export class SymbolsHere implements SymbolAnswers {
  readonly #openSymbols: OpenSymbols;
  /** Of those of whom anything may still be asked, while anybody holds them; the one that was used last comes last. */
  readonly #planned = new Map<string, HeldModule>();
  #shared: SharedSymbols | undefined;
  #holders = 0;

  constructor(openSymbols: OpenSymbols) {
    this.#openSymbols = openSymbols;
  }

  hold(): Disposable {
    this.#holders += 1;
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) this.#holders -= 1;
        isHeld = false;
        if (this.#holders === 0) this.#release();
      },
    };
  }

  #release(): void {
    this.#shared?.[Symbol.dispose]();
    this.#shared = undefined;
    for (const { file } of this.#planned.values()) file[Symbol.dispose]();
    this.#planned.clear();
  }

  async plan(question: PlanQuestion): Promise<PlannedModule | StillframeError> {
    const { module, texts } = question;
    const { symbols, release } = await this.#openModule(question);
    try {
      const { encoded, explanation, shape } = planModule(symbols, module.path, texts);
      return { encoded, explanation, ...(shape === undefined ? {} : { shape }) };
    } catch (error) {
      return toStillframeError(error);
    } finally {
      release();
    }
  }

  async show({ options, ...core }: ShowQuestion): Promise<ShownSnapshot> {
    using snapshot = await this.#openCore(core);
    // Nobody hit anything in a "now": all its threads are what was asked for.
    const allThreads = options.allThreads ?? snapshot.core.note?.point === '';
    const document = showSnapshot(snapshot, { ...options, allThreads });
    const { executable } = snapshot;
    return { document, ...(executable === undefined ? {} : { executable: executable.path }) };
  }

  async evaluate({
    expressions,
    options,
    ...core
  }: EvaluateQuestion): Promise<readonly (ValueDocument | StillframeError)[]> {
    using snapshot = await this.#openCore(core);
    return evaluateExpressions(snapshot, expressions, options);
  }

  async signature(core: string): Promise<StackSignature> {
    using snapshot = await this.#openCore({ core });
    return stackSignature(snapshot);
  }

  async leaves(core: string): Promise<Leaves> {
    using snapshot = await this.#openCore({ core });
    const { frames, captures } = showSnapshot(snapshot, { frame: 0 });
    return leavesOf(frames[0]?.locals ?? [], captures);
  }

  async #openCore({ core, exe, sysroot, debugDir }: CoreQuestion): Promise<Snapshot> {
    const directories = debugDir === undefined ? undefined : [debugDir, ...debugDirectories];
    // What a caller says of files is true for this caller alone.
    const isShared = this.#holders > 0 && [exe, sysroot, debugDir].every((file) => file === undefined);
    const open: OpenSymbols = isShared
      ? (this.#shared ??= new SharedSymbols(this.#openSymbols)).open
      : (elf, file) => this.#openSymbols(elf, file, directories);
    const snapshot = openSnapshot(core, { exe, sysroot, openSymbols: open });
    if (asksDebuginfod) await bringDebugFiles(snapshot, bringDebugFile);
    const program = exe === undefined ? undefined : snapshot.executable?.elf;
    if (program === undefined || !isAbsent(program)) return snapshot;
    // What was named explicitly and does not fit is a mistake, and not something that this snapshot lacks.
    snapshot[Symbol.dispose]();
    const code = existsSync(exe ?? '') ? 'mismatch' : 'not-found';
    throw new StillframeError(code, program.detail, { hint: 'give the file that was running with --exe' });
  }

  async #openModule({
    module,
    pid,
    isExecutable,
    local,
    exe,
  }: PlanQuestion): Promise<{ readonly symbols: ModuleSymbols; readonly release: () => void }> {
    const isHeld = this.#holders > 0 && exe === undefined && module.buildId !== '';
    const known = isHeld ? this.#planned.get(module.buildId) : undefined;
    if (known !== undefined) {
      this.#planned.delete(module.buildId);
      this.#planned.set(module.buildId, known);
      return { symbols: known.symbols, release: () => undefined };
    }
    const file = openModuleFile({ pid, module, isExecutable, local, ...(exe === undefined ? {} : { exe }) });
    let symbols: ModuleSymbols;
    try {
      await bringDebugFile(file.elf);
      symbols = this.#openSymbols(file.elf);
    } catch (error) {
      file[Symbol.dispose]();
      throw error;
    }
    // Without a build id nothing says that it is the same file the next time; and who held it may be gone by now.
    if (!isHeld || this.#holders === 0) return { symbols, release: () => file[Symbol.dispose]() };
    this.#planned.set(module.buildId, { symbols, file });
    for (const [oldest, held] of this.#planned) {
      if (this.#planned.size <= maxPlanned) break;
      held.file[Symbol.dispose]();
      this.#planned.delete(oldest);
    }
    return { symbols, release: () => undefined };
  }
}

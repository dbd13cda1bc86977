/**
 * Breakpoints as `int3` in the code of a process, where hardware breakpoints do not suffice (more than four addresses) or cannot be had.
 *
 * What remains of danger, and why this comes last: a thread that runs into an `int3` gets SIGTRAP, which only a living tracer takes away. If the
 * tracer is killed, a thread that stands at a breakpoint at that instant dies of the SIGTRAP, and so does one that
 * reaches a breakpoint before the front has put the bytes back from the journal (milliseconds). With front and tracer
 * killed together, the bytes stay until the next agent starts.
 */
import { StillframeError } from '../../../format/error.js';
import { hex } from '../../../format/address.js';
import { decodeEmulation, type Emulation } from '../../../format/x86-64/emulate.js';
import { maxInstructionBytes } from '../../../format/x86-64/instruction.js';
import { CodePatcher } from '../../linux/memory-patch.js';
import { readStat } from '../../linux/proc.js';
import { sharesMemory } from '../../linux/ptrace.js';
import { DisplacedCode } from './displaced-code.js';
import { type Journal, type PatchedByte, int3 } from './journal.js';

export const maxSoftwareBreakpoints = 64;

export class SoftwareBreakpoints implements Disposable {
  readonly pid: number;
  readonly #startTicks: bigint;
  readonly #journal: Journal;
  readonly #patcher: CodePatcher;
  readonly #originals = new Map<bigint, number>();
  readonly displaced: DisplacedCode;
  /** What the instructions that were there do, of those that need not be run there. */
  readonly #emulations = new Map<bigint, Emulation>();
  /** Were ours, and are not any more: threads may have run into them just before. */
  readonly #retired = new Map<bigint, number>();
  #suspended = false;

  constructor(pid: number, journal: Journal) {
    this.pid = pid;
    this.#journal = journal;
    this.#startTicks = readStat(pid).startTicks;
    this.#patcher = new CodePatcher(pid);
    this.displaced = new DisplacedCode(pid, this.#patcher);
  }

  get addresses(): readonly bigint[] {
    return [...this.#originals.keys()];
  }

  has(address: bigint): boolean {
    return this.#originals.has(address);
  }

  /** Whether a trap behind this address is one of ours. */
  owns(address: bigint): boolean {
    return this.#originals.has(address) || this.#retired.has(address);
  }

  /** Journals, then patches. Leaves nothing of them behind when one fails. */
  add(addresses: readonly bigint[]): void {
    const fresh = [...new Set(addresses)].filter((address) => !this.#originals.has(address));
    if (this.#originals.size + fresh.length > maxSoftwareBreakpoints) {
      throw new StillframeError(
        'unsupported',
        `cannot set ${fresh.length} more breakpoints in process ${this.pid}: ${maxSoftwareBreakpoints} are the most`,
        { detail: { pid: this.pid } },
      );
    }
    this.displaced.refresh();
    for (const address of fresh) {
      const original = this.#patcher.read(address);
      if (original === int3) {
        throw new StillframeError(
          'unsupported',
          `cannot set a breakpoint at ${hex(address)}: there is one already`,
          {
            detail: { address, pid: this.pid },
            hint: 'another debugger set it',
          },
        );
      }
      this.#originals.set(address, original);
      const emulation = this.#emulationOf(address);
      if (emulation !== undefined) this.#emulations.set(address, emulation);
    }
    try {
      this.#record();
      if (!this.#suspended) for (const address of fresh) this.#patcher.write(address, int3);
    } catch (error) {
      this.remove(fresh);
      throw error;
    }
  }

  /** Done for the thread; or the thread runs it elsewhere, and comes back by itself. */
  #emulationOf(address: bigint): Emulation | undefined {
    const bytes = this.#read(address);
    const emulation = decodeEmulation(bytes);
    if (emulation !== undefined) return emulation;
    const place = this.displaced.place(address, bytes);
    return place === undefined ? undefined : { advance: place - address };
  }

  #read(address: bigint): Uint8Array {
    const bytes: number[] = [];
    try {
      for (let i = 0n; i < maxInstructionBytes; i++) bytes.push(this.#patcher.read(address + i));
    } catch {
      // Nothing is mapped behind it.
    }
    return Uint8Array.from(bytes);
  }

  /** What is done in place of the instruction at a breakpoint; undefined when the thread has to run it there. */
  emulationAt(address: bigint): Emulation | undefined {
    return this.#emulations.get(address);
  }

  /** Restores, then forgets in the journal. */
  remove(addresses: readonly bigint[]): void {
    for (const address of addresses) {
      const original = this.#originals.get(address);
      if (original === undefined) continue;
      this.lift(address);
      this.#originals.delete(address);
      this.#emulations.delete(address);
      this.#retired.set(address, original);
    }
    this.#record();
  }

  /** Puts the original byte back for a moment. */
  lift(address: bigint): void {
    const original = this.#originals.get(address);
    if (original === undefined) return;
    try {
      if (this.#patcher.read(address) === int3) this.#patcher.write(address, original);
    } catch {
      // Unmapped, or the process is gone: there is no byte to put back.
    }
  }

  /** Ends the moment of {@link lift}, if the address is still wanted. */
  lower(address: bigint): void {
    if (this.#suspended || !this.#originals.has(address)) return;
    try {
      this.#patcher.write(address, int3);
    } catch {
      // Unmapped, or the process is gone.
    }
  }

  /** While a vfork child shares the memory: it is not traced, and must find the program as it was. */
  suspend(): void {
    for (const address of this.#originals.keys()) this.lift(address);
    this.#suspended = true;
  }

  resume(): void {
    this.#suspended = false;
    for (const address of this.#originals.keys()) this.lower(address);
  }

  /** Restores the copies that a fork has made, also of breakpoints that have been removed since. */
  restoreIn(child: number): void {
    const patched = new Map([...this.#retired, ...this.#originals]);
    if (patched.size === 0) return;
    using patcher = new CodePatcher(child);
    for (const [address, original] of patched) {
      if (patcher.read(address) === int3) patcher.write(address, original);
    }
    // One that shares the memory has it from threads that may be in the copies. Its own thread is in none, for a fork is a system call.
    if (sharesMemory(this.pid, child) === false) this.displaced.erase(patcher);
  }

  #record(): void {
    const name = { pid: this.pid, startTicks: this.#startTicks };
    if (this.#originals.size === 0) {
      this.#journal.remove(name);
      return;
    }
    const bytes: PatchedByte[] = [...this.#originals].map(([address, original]) => ({ address, original }));
    const tracer = { pid: process.pid, startTicks: readStat(process.pid).startTicks };
    this.#journal.write({ ...name, tracer, bytes });
  }

  /** The memory that was patched is no more: the process executed another program. */
  abandon(): void {
    this.#originals.clear();
    this.#emulations.clear();
    this.#retired.clear();
    this.displaced.forget();
    this.#record();
  }

  [Symbol.dispose](): void {
    this.remove(this.addresses);
    this.#patcher[Symbol.dispose]();
  }
}

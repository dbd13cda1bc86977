/** Compares the variables of every frame of a program's own functions with delve's, in the first thread of a core. */
import { threadStack } from '../../controller/snapshot/frames.js';
import { openSnapshot, type Snapshot } from '../../controller/snapshot/open.js';
import { showLocals } from '../../controller/snapshot/show.js';
import type { VariableDocument } from '../../controller/types/value-document.js';
import { defaultLimits } from '../../format/limits.js';
import { compareWithDelve, type DelveTally, newDelveTally } from './compare-delve.js';
import { Delve } from './delve.js';

const limits = { ...defaultLimits, maxElements: 150, maxStringBytes: 4096 };

/** `dlv`: a delve that knows the program's version of Go. */
export async function compareFramesWithDelve(
  program: string,
  core: string,
  dlv = 'dlv',
): Promise<DelveTally> {
  using snapshot = openSnapshot(core, { limits });
  await using delve = await Delve.open(program, core, dlv);
  const tally = newDelveTally();
  const theirs = await delve.stack(1);
  const frames = framesOf(snapshot);
  for (const { locals, name, pc } of frames) {
    const frame = theirs.findIndex((each) => each.pc === pc && each.function?.name === name);
    if (frame < 0) {
      tally.differences.push(`${name}: delve has no such frame`);
      continue;
    }
    // The last of a name is that of the innermost block.
    const variables = await delve.variables(1, frame, { ...limits, depth: 3 });
    const byName = new Map(variables.map((each) => [each.name, each]));
    for (const ours of locals) {
      const found = byName.get(ours.name);
      if (ours.shadowed === true) continue;
      if (found !== undefined) compareWithDelve(ours, found, `${name}: ${ours.name}`, tally);
      else if (ours.absent === undefined) tally.skipped.push(`${name}: delve has no ${ours.name}`);
    }
    // Delve also gives those of what is inlined there, which for us is a frame of its own.
    const here = frames.filter((each) => each.pc === pc).flatMap((each) => each.locals);
    for (const missing of byName.keys())
      if (!missing.startsWith('.') && !here.some((each) => each.name === missing))
        tally.differences.push(`${name}: we have no ${missing}`);
  }
  return tally;
}

function framesOf(snapshot: Snapshot): { name: string; pc: number; locals: readonly VariableDocument[] }[] {
  const [thread] = snapshot.threads;
  if (thread === undefined) return [];
  return threadStack(snapshot, thread).frames.flatMap((frame) =>
    frame.function?.startsWith('main.') === true
      ? [{ name: frame.function, pc: Number(frame.pc), locals: showLocals(snapshot, frame, { depth: 3 }) }]
      : [],
  );
}

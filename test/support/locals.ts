import { variablePlace } from '../../controller/snapshot/frame-evaluation.js';
import { threadStack } from '../../controller/snapshot/frames.js';
import type { Snapshot } from '../../controller/snapshot/open.js';
import type { Value } from '../../controller/types/value.js';

/** A local of a function in the first thread. */
export function localNamed(snapshot: Snapshot, functionName: string, name: string): Value {
  const [thread] = snapshot.threads;
  const frames = thread === undefined ? [] : threadStack(snapshot, thread).frames;
  const frame = frames.find((each) => each.function === functionName);
  const scope = frame?.source?.scope;
  const variable = scope?.variables.find((each) => each.name === name);
  if (frame?.evaluation === undefined || variable === undefined)
    throw new Error(`${functionName} has no ${name}`);
  return { type: variable.type(), place: variablePlace(frame.evaluation, variable, scope) };
}

/** Expressions in Go's spelling, on a core. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { threadStack } from '../../../../controller/snapshot/frames.js';
import { openSnapshot, type Snapshot } from '../../../../controller/snapshot/open.js';
import { evaluateExpressions } from '../../../../controller/snapshot/show.js';
import { StillframeError } from '../../../../format/error.js';
import { compileNative, go } from '../../../support/compile-native.js';
import { type CoreFile, crashCore } from '../../../support/core.js';
import { repositoryRoot } from '../../../support/paths.js';

const source = readFileSync(join(repositoryRoot, 'native-fixtures/go-values/values.go'), 'utf8');

describe('expressions on Go', () => {
  let core: CoreFile;
  let snapshot: Snapshot;

  beforeAll(() => {
    const program = compileNative(source, 'values', go('-gcflags=-N -l'));
    core = crashCore('/usr/bin/env', ['GOTRACEBACK=crash', program]);
    snapshot = openSnapshot(core.path);
  });

  afterAll(() => {
    snapshot[Symbol.dispose]();
    core[Symbol.dispose]();
  });

  test.each([
    ['main.maps', 'one["a"]', 'int', '1'],
    ['main.maps', 'len(huge)', 'long', '10000'],
    ['main.maps', 'huge[77] == "v77"', 'int', '1'],
    ['main.maps', 'grow[12]', 'int', '144'],
    ['main.maps', 'bigValues["big"].Words[1]', 'int64', '2'],
    ['main.maps', 'nestedMap["x"]["y"][0] == "z"', 'int', '1'],
    ['main.maps', 'len(nilMap)', 'long', '0'],
    ['main.strs', 'len(long)', 'long', '3000'],
    ['main.strs', 'hugeSlice[99999]', 'int', '7'],
    ['main.strs', 'nested[2][1]', 'int', '3'],
    ['main.strs', 'cap(spare)', 'long', '10'],
    ['main.interfaces', 'nilError == nil', 'int', '1'],
    ['main.interfaces', 'problem != nil', 'int', '1'],
    ['main.interfaces', 'anyInt.(int) + 1', 'int', '6'],
    ['main.interfaces', 'problem.(*main.Problem).Code', 'int', '7'],
    ['main.channels', 'len(buffered)', 'long', '2'],
    ['main.channels', 'buffered[1] == "b"', 'int', '1'],
    ['main.functions', 'escaped.Y', 'int', '12'],
    ['main.functions', 'node.Next.Name == "second"', 'int', '1'],
    ['main.functions', 'embedded.X', 'int', '7'],
    ['main.functions', 'embedded.Point.Y', 'int', '8'],
  ])('%s: %s is %s %s', (functionName, text, type, value) => {
    const [thread] = snapshot.threads;
    const frames = thread === undefined ? [] : threadStack(snapshot, thread).frames;
    const frame = frames.find((each) => each.function === functionName)?.index;
    const [result] = evaluateExpressions(snapshot, [text], { frame });
    if (result instanceof StillframeError) throw result;
    expect(result).toMatchObject({ type, value });
  });
});

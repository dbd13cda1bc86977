import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { IncidentView } from '../../../controller/automation/incident-view.js';
import { openSymbols } from '../../../controller/service/symbols.js';
import type { EmbeddedStore } from '../../../controller/store/sqlite.js';
import { fillStore, takeSnapshots, type Taken } from './shop.js';
import { causeOf, startMs } from './store-folder.js';
import { SymbolsHere } from '../../../controller/service/symbols-here.js';

let taken: readonly Taken[];
beforeAll(async () => {
  taken = await takeSnapshots({
    way: 'x',
    snaps: [
      ['--if', 'attempt == 2', '--hits', '2'],
      ['--if', 'attempt == 1', '--hits', '1'],
    ],
  });
});

let folder: string;
let id: string;
let store: EmbeddedStore;
let view: IncidentView;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stillframe-archive-'));
  const cause = causeOf({ text: 'the rate is 12\u001B[31m', labels: { job: 'a\nb' } });
  store = fillStore(join(folder, 'store'), taken, (fresh) => (id = fresh.incidents.open(cause, startMs)));
  store.incidents.close(id, 'enough', startMs + 1);
  view = makeView();
  mkdirSync(join(folder, 'out'));
  file = join(folder, 'out', 'incident.tar.gz');
});
afterEach(() => {
  store[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

const makeView = (part: Partial<ConstructorParameters<typeof IncidentView>[0]> = {}): IncidentView =>
  new IncidentView({
    store,
    incidents: store.incidents,
    symbols: new SymbolsHere(openSymbols),
    renderSnapshot: ({ location }) => `rendered: ${location.function}`,
    ...part,
  });
const list = (archive: string): string[] =>
  execFileSync('tar', ['tzf', archive], { encoding: 'utf8' }).trim().split('\n');
const unpack = (archive: string): string => {
  const to = join(folder, 'unpacked');
  mkdirSync(to);
  execFileSync('tar', ['xzf', archive, '-C', to]);
  return to;
};

describe('an archive', () => {
  test('has the document, the timeline, and each snapshot as it is in the store', async () => {
    const exported = await view.exportIncident(id.slice(0, 11), file);
    expect(exported).toEqual({ id, bytes: statSync(file).size });
    const ids = taken.map(({ record }) => record.id).toSorted();
    expect(list(file)).toEqual([
      'incident.json',
      'timeline.txt',
      ...ids.flatMap((each) => ['core', 'json', 'txt'].map((end) => `snapshots/${each}.${end}`)),
      'README.md',
    ]);
    const to = unpack(file);
    expect(JSON.parse(readFileSync(join(to, 'incident.json'), 'utf8'))).toEqual(await view.incident(id));
    for (const { record, bytes } of taken) {
      expect(readFileSync(join(to, 'snapshots', `${record.id}.core`)).equals(bytes)).toBe(true);
      const document: unknown = JSON.parse(readFileSync(join(to, 'snapshots', `${record.id}.json`), 'utf8'));
      expect(document).toMatchObject({ id: record.id, location: { function: 'charge' } });
      expect(readFileSync(join(to, 'snapshots', `${record.id}.txt`), 'utf8')).toBe('rendered: charge\n');
    }
  });

  test('is for its owner alone, and nothing is left beside it', async () => {
    await view.exportIncident(id, file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(folder, 'out'))).toEqual(['incident.tar.gz']);
    const listing = execFileSync('tar', ['tvzf', file], { encoding: 'utf8' });
    for (const line of listing.trim().split('\n')) expect(line).toMatch(/^-rw------- 0\/0 /);
  });

  test('is the same bytes each time, in a file and as a stream', async () => {
    await view.exportIncident(id, file);
    const streamed = await buffer(makeView().incidentArchive(id));
    expect(streamed.equals(readFileSync(file))).toBe(true);
  });

  test('opens in gdb by the line of its README, with the stack and the values', async () => {
    await view.exportIncident(id, file);
    const to = unpack(file);
    const readme = readFileSync(join(to, 'README.md'), 'utf8');
    const lines = readme.split('\n').filter((line) => line.startsWith('    gdb '));
    expect(lines).toHaveLength(taken.length);
    const options = `-q -nx -batch -iex 'set debuginfod enabled off' -ex bt -ex 'print *order->customer'`;
    const outputs = lines.map((line) => {
      const command = line.trim().replace(/^gdb /, `gdb ${options} `);
      return spawnSync('sh', ['-c', command], { cwd: to, encoding: 'utf8' }).stdout;
    });
    expect(outputs.filter((text) => /#1 .* in wholesale \(/.test(text))).toHaveLength(2);
    expect(outputs.filter((text) => /#1 .* in retail \(/.test(text))).toHaveLength(1);
    const wholesale = outputs.find((text) => text.includes('in wholesale (')) ?? '';
    expect(wholesale).toMatch(/#0 .*charge \(order=0x[0-9a-f]+, attempt=2\)/);
    expect(wholesale).toContain('tier = GOLD');
    expect(wholesale).toContain('"Acme"');
  });

  test('the timeline is text that may be printed on a terminal', async () => {
    await view.exportIncident(id, file);
    const timeline = readFileSync(join(unpack(file), 'timeline.txt'), 'utf8');
    // eslint-disable-next-line no-control-regex
    expect(timeline).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F]/);
    expect(timeline).toContain(String.raw`cause    the rate is 12\x1b[31m`);
    expect(timeline).toContain(String.raw`label    job = a\x0ab`);
    expect(timeline).toMatch(/ {2}#1 wholesale shop\.c:\d+\n/);
    expect(timeline).toContain('  same     order->customer->tier = GOLD\n');
    expect(timeline).toMatch(/ {2}differs {2}order->id = \d+ \| \d+\n/);
  });

  test('without a renderer there is no text of the snapshots', async () => {
    const { renderSnapshot: _, ...rest } = {
      store,
      incidents: store.incidents,
      symbols: new SymbolsHere(openSymbols),
      renderSnapshot: 0,
    };
    await new IncidentView(rest).exportIncident(id, file);
    expect(list(file).filter((name) => name.endsWith('.txt'))).toEqual(['timeline.txt']);
  });
});

describe('what goes wrong', () => {
  test('an incident that is not there', async () => {
    await expect(view.exportIncident('zz', file)).rejects.toMatchObject({
      code: 'not-found',
      message: 'no incident "zz"',
    });
    expect(() => view.incidentArchive('zz')).toThrow('no incident "zz"');
    expect(existsSync(file)).toBe(false);
  });

  test('a core that is gone, and one that is cut, are missing with the reason', async () => {
    const [gone, cut, whole] = store.incidents.listSnapshots(id);
    if (gone === undefined || cut === undefined || whole === undefined) throw new Error('no snapshots');
    rmSync(store.pathOf(gone));
    truncateSync(store.pathOf(cut), 100);
    await view.exportIncident(id, file);
    expect(list(file).filter((name) => name.endsWith('.core'))).toEqual([`snapshots/${whole.id}.core`]);
    const readme = readFileSync(join(unpack(file), 'README.md'), 'utf8');
    expect(readme).toContain('    not in this archive: its core file is not in the store any more\n');
    expect(readme).toContain(
      `    not in this archive: its core file has 100 bytes and should have ${cut.size}\n`,
    );
  });

  test('a folder that is not there', async () => {
    const wrong = join(folder, 'nowhere', 'a.tar.gz');
    await expect(view.exportIncident(id, wrong)).rejects.toMatchObject({
      code: 'system',
      message: expect.stringMatching(/^cannot write ".*a\.tar\.gz": ENOENT/) as string,
    });
  });

  test('an error on the way leaves the file that was there before', async () => {
    writeFileSync(file, 'before');
    const broken = makeView({
      renderSnapshot: () => {
        throw new Error('no ink');
      },
    });
    await expect(broken.exportIncident(id, file)).rejects.toMatchObject({
      message: `cannot write "${file}": no ink`,
    });
    expect(readFileSync(file, 'utf8')).toBe('before');
    expect(readdirSync(join(folder, 'out'))).toEqual(['incident.tar.gz']);
  });

  test('who hangs up ends the work', async () => {
    let rendered = 0;
    const archive = makeView({ renderSnapshot: () => `${rendered++}` }).incidentArchive(id);
    archive.destroy();
    await once(archive, 'close');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(rendered).toBe(0);
  });
});

test('large cores are never in memory as a whole', async () => {
  const size = 300 * 1024 * 1024;
  const large = join(folder, 'large');
  writeFileSync(large, '');
  truncateSync(large, size);
  const records = store.incidents
    .listSnapshots(id)
    .slice(0, 1)
    .map((record) => ({ ...record, size }));
  const incidents = { ...store.incidents, listSnapshots: () => records };
  const archive = makeView({ store: { ...store, pathOf: () => large }, incidents }).incidentArchive(id);
  const before = process.memoryUsage().rss;
  let most = 0;
  for await (const _ of archive) most = Math.max(most, process.memoryUsage().rss);
  expect(most - before).toBeLessThan(150 * 1024 * 1024);
});

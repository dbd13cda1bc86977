/** A program that comes to one line by several ways, with other values on each; real snapshots of it, in a store of the test's own. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openStore, type EmbeddedStore } from '../../../controller/store/sqlite.js';
import type { SnapshotRecord } from '../../../controller/store/store.js';
import { openCore } from '../../../format/core/read.js';
import type { StillframeNote } from '../../../format/core/stillframe-note.js';
import { openFileSource } from '../../../controller/snapshot/file-source.js';
import { openWorkplace } from '../../support/cli.js';
import { compileC } from '../../support/compile-c.js';
import { pointOf } from './store-folder.js';

const source = `
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
enum tier { BRONZE, SILVER, GOLD };
struct customer { long id; const char *name; enum tier tier; struct customer *referrer; };
struct order { long id; struct customer *customer; int quantity; const char *coupon; long total; };
static struct customer ada = { 1, "Ada", BRONZE, 0 }, acme = { 2, "Acme", GOLD, &ada };
static long taken;
__attribute__((noinline)) int charge(struct order *order, int attempt) {
  long due = order->total * order->quantity;
  taken += due;                                            /* PROBE: charge */
  return (int)due + attempt;
}
__attribute__((noinline)) int retail(struct order *order) { return charge(order, 1) + 1; }
__attribute__((noinline)) int wholesale(struct order *order) { return charge(order, 2) + 2; }
__attribute__((noinline)) int retry(struct order *order, int times) {
  if (times > 0) return retry(order, times - 1) + 1;
  return charge(order, 3) + 3;
}
int main(int argc, char **argv) {
  struct order order = { 1000, &ada, 1, 0, 250 };
  long sum = 0;
  puts("ready"); fflush(stdout);
  for (int i = 0;; i++) {
    order.id++;
    int big = argv[1][0] == 'b' || (argv[1][0] == 'x' && i % 3 == 2);
    order.customer = big ? &acme : &ada;
    order.coupon = big ? "HALF" : NULL;
    order.quantity = i % 3 + 1;
    if (argv[1][0] == 'r') sum += retry(&order, 1 + i % 4);
    else if (big) sum += wholesale(&order);
    else sum += retail(&order);
    usleep(2000);
  }
  return sum + argc;
}
`;

export const chargeLine: number = source.split('\n').findIndex((line) => line.includes('PROBE: charge')) + 1;

export interface ShopOptions {
  /** Of the program: `x` comes by two ways, `b` by one, `r` by a recursion. */
  readonly way: 'x' | 'b' | 'r';
  readonly flags?: readonly string[];
  /** Arguments of each `snap`; by default one, of nine hits. */
  readonly snaps?: readonly (readonly string[])[];
}

export function buildShop(flags: readonly string[] = ['-g', '-O0']): string {
  return compileC(source, { name: 'shop', flags });
}

/** Core files that a real agent took, oldest first. */
export async function takeSnapshots(options: ShopOptions): Promise<readonly Taken[]> {
  await using workplace = openWorkplace();
  const program = buildShop(options.flags);
  const shop = await workplace.startProgram(program, [options.way], { ready: /^ready$/ });
  await workplace.startAgent();
  for (const more of options.snaps ?? [['--hits', '9']]) {
    const args = ['--every', '1ms', '--capture', 'order->customer->tier', ...more];
    await workplace.json('snap', String(shop.pid), `shop.c:${chargeLine}`, ...args);
  }
  using store = openStore({ folder: join(workplace.folder, 'data', 'stillframe'), readNote });
  return store.listSnapshots().map((record) => ({ record, bytes: readFileSync(store.pathOf(record)) }));
}

export interface Taken {
  readonly record: SnapshotRecord;
  readonly bytes: Uint8Array;
}

/** Opens a store in which the snapshots are, and their points belong to an incident. */
export function fillStore(
  folder: string,
  taken: readonly Taken[],
  incident: (store: EmbeddedStore) => string,
): EmbeddedStore {
  const store = openStore({ folder, readNote });
  const id = incident(store);
  for (const { record, bytes } of taken) {
    store.putPoint(pointOf({ id: record.point, location: `shop.c:${chargeLine}`, incident: id }));
    using writer = store.receive({ id: record.id, size: record.size, sha256: record.sha256 });
    writer.write(bytes);
    writer.commit();
  }
  return store;
}

export function readNote(path: string): StillframeNote {
  using file = openFileSource(path);
  const { note } = openCore(file);
  if (note === undefined) throw new Error(`${path} has no note`);
  return note;
}

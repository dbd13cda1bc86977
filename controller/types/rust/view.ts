/**
 * Views of Rust's types. Enums are told by their variant part, all else by crate and name and then by the names of its members: a layout that is not
 * known has no view, and is shown as declared. Written against rustc 1.85 to 1.97; modules and wrappers move between releases, members seldom.
 */
import { stripType } from '../layout.js';
import type { CompositeType, Type } from '../type.js';
import type { View } from '../view.js';
import { btreeMapView, btreeSetView } from './btree.js';
import {
  arithmeticView,
  atomicView,
  cellView,
  lazyCellView,
  manuallyDropView,
  mutexView,
  numberView,
  onceCellView,
  pinView,
  refCellView,
  rwLockView,
  unsafeCellView,
} from './cells.js';
import { dequeView } from './deque.js';
import { enumView } from './enums.js';
import { hashMapView, hashSetView } from './hash-table.js';
import { linkedListView } from './linked-list.js';
import { shortPath } from './names.js';
import { lazyLockView, onceLockView } from './once.js';
import { borrowView, countedView, guardView, readGuardView, weakView } from './owners.js';
import { cStringView, stringView } from './text.js';
import { binaryHeapView, vecView } from './vec.js';
import { widePointerView } from './wide-pointer.js';

/** The view of a type of Rust; undefined where it has none. */
export function rustView(type: Type): View | undefined {
  const plain = stripType(type);
  if (plain.kind !== 'struct' || plain.incomplete) return undefined;
  const variants = plain.variants?.();
  if (variants !== undefined) return enumView(plain, variants);
  const name = plain.name ?? '';
  const path = shortPath(name) ?? '';
  const ofLibrary = library.get(path) ?? (isNicheType(name) ? numberView : undefined);
  if (ofLibrary !== undefined && !/^[&*]/.test(name)) return ofLibrary(plain);
  return widePointerView(plain);
}

/** Integers that leave values out, of which `Duration` and others are made. */
const isNicheType = (name: string): boolean => name.startsWith('core::num::niche_types::');

const library: ReadonlyMap<string, (type: CompositeType) => View | undefined> = new Map([
  ['alloc::String', stringView],
  ['std::OsString', stringView],
  ['std::PathBuf', stringView],
  ['alloc::CString', cStringView],
  ['std::CString', cStringView],
  ['alloc::Vec', vecView],
  ['alloc::BinaryHeap', binaryHeapView],
  ['alloc::VecDeque', dequeView],
  ['alloc::LinkedList', linkedListView],
  ['std::HashMap', hashMapView],
  ['hashbrown::HashMap', hashMapView],
  ['std::HashSet', hashSetView],
  ['hashbrown::HashSet', hashSetView],
  ['alloc::BTreeMap', btreeMapView],
  ['alloc::BTreeSet', btreeSetView],
  ['alloc::Rc', countedView],
  ['alloc::Arc', countedView],
  ['alloc::Weak', weakView],
  ['core::Ref', borrowView],
  ['core::RefMut', borrowView],
  ['std::MutexGuard', guardView],
  ['std::RwLockWriteGuard', guardView],
  ['std::RwLockReadGuard', readGuardView],
  ['core::Cell', cellView],
  ['core::UnsafeCell', unsafeCellView],
  ['core::RefCell', refCellView],
  ['core::OnceCell', onceCellView],
  ['core::LazyCell', lazyCellView],
  ['core::Pin', pinView],
  ['core::ManuallyDrop', manuallyDropView],
  ['std::OnceLock', onceLockView],
  ['std::LazyLock', lazyLockView],
  ['std::Mutex', mutexView],
  ['std::RwLock', rwLockView],
  ['core::NonZero', numberView],
  ['core::Wrapping', arithmeticView],
  ['core::Saturating', arithmeticView],
  ['core::AtomicBool', atomicView],
  ['core::Atomic', atomicView],
  ['core::AtomicPtr', numberView],
  ...['8', '16', '32', '64', 'size'].flatMap((width) =>
    ['I', 'U'].map((sign) => [`core::Atomic${sign}${width}`, numberView] as const),
  ),
  ...['8', '16', '32', '64', '128', 'size'].flatMap((width) =>
    ['I', 'U'].map((sign) => [`core::NonZero${sign}${width}`, numberView] as const),
  ),
]);

/**
 * How an object is shown as its programmer thinks of it: a string, a sequence, a map, one of several alternatives, what it points to.
 * `viewOf` (views.ts) finds a view by the type alone; each language has a folder with its own. A view says only where things are: the renderer turns it into a document, the
 * expression language gives it methods (`size()`, `[i]`, `value()`), and where it is made of recipes alone the planner captures through it and the kernel decides conditions on it.
 * What a view says comes from foreign bytes: counts are checked and walks are bounded by those who use it, and by the walk itself.
 */
import type { Absent } from '../../format/absent.js';
import type { MemoryReader } from '../../format/memory.js';
import type { Walk } from '../../format/walk/walk.js';
import type { ObjectView } from './object-view.js';
import type { Recipe } from '../../format/recipe/recipe.js';
import type { Type } from './type.js';
import type { Value } from './value.js';

export type View =
  | StringView
  | SequenceView
  | PointerView
  | VariantView
  | WrapperView
  | RecordView
  | WalkedView
  | WalkedMapView
  | DynamicView;

/** Characters that lie one after another: std::string, &str, Go's string. Shown with `kind: 'string'`, `text` and `length` (in units). */
export interface StringView {
  readonly kind: 'string';
  readonly data: Recipe;
  /** In units. */
  readonly length: Recipe;
  /** One of its units: `char`, `char16_t`, `u8`. */
  readonly unit: Type;
  readonly capacity?: Recipe;
  readonly valid?: Invariant;
}

/**
 * Zero where what the object says contradicts itself (an end before the beginning, a size that does not divide): it is shown as corrupt. That a length
 * is within the capacity and within what can be addressed is checked of every object that has them, and need not be said here.
 */
export type Invariant = Recipe;

/** Elements that lie one after another: std::vector, span, Vec, slices. `kind: 'slice'`, `elements`, `length`. */
export interface SequenceView {
  readonly kind: 'sequence';
  readonly data: Recipe;
  readonly length: Recipe;
  readonly capacity?: Recipe;
  readonly valid?: Invariant;
  readonly element: () => Type;
  /** Not zero where there is none, which is another thing than an empty one: Go's nil. Shown with the text `nil`. */
  readonly isNil?: Recipe;
}

/** What owns or shares another object: std::unique_ptr, shared_ptr, Box, Rc. `kind: 'pointer'`, `value`, `target`; `*p`, `p->m` and `p.m` reach the object. */
export interface PointerView {
  readonly kind: 'pointer';
  /** Zero where there is no object. */
  readonly pointer: Recipe;
  readonly target: () => Type;
  /** Facts of its own: use counts. Shown in the text: `{use_count=2}`. */
  readonly facts?: readonly Fact[];
  readonly valid?: Invariant;
  /** Of a pointer to a function: what it has with it, as a closure has what it captured. Shown as its target. */
  readonly held?: (object: ObjectView, context: ViewContext) => Value | undefined;
}

export interface Fact {
  readonly name: string;
  readonly value: Recipe;
}

/**
 * One of several: std::optional, std::variant, Rust's enums. `kind: 'variant'`, `text` such as `Some(3)`, and `fields` with the one that it is
 * (none for an alternative without a value).
 */
export interface VariantView {
  readonly kind: 'variant';
  readonly discriminant: Recipe;
  /** An object whose discriminant is of none of them is corrupt, and said to be. */
  readonly alternatives: readonly Alternative[];
}

export interface Alternative {
  readonly name: string;
  /** The discriminants that mean it, both ends included; none: the one for all that no other names. */
  readonly discriminants?: readonly { readonly from: bigint; readonly to: bigint }[];
  /** What it holds, within the object. */
  readonly content?: { readonly type: () => Type; readonly offset: number };
  /** That the content stands for the alternative: `Some(3)` shows 3, `has_value()` is true. Of an empty one: `None`, `nullopt`, false. */
  readonly role?: 'value' | 'empty' | 'error';
}

/** An object that is only a wrapper: std::atomic, Cell, Duration. Shown as what is in it, under its own type's name. */
export interface WrapperView {
  readonly kind: 'wrapper';
  readonly content: { readonly type: () => Type; readonly offset: number };
  /** Facts of its own: `{borrow=1}`. */
  readonly facts?: readonly Fact[];
}

/** Parts under names of their own, wherever the object keeps them: std::tuple, std::pair. `kind: 'struct'`, `fields` in this order. */
export interface RecordView {
  readonly kind: 'record';
  readonly fields: readonly { readonly name: string; readonly type: () => Type; readonly offset: number }[];
  /** What a person reads it as: an instant. */
  readonly text?: (object: ObjectView, context: ViewContext) => string | undefined;
}

/** What is read node by node: std::list, deque, set, VecDeque, channels. `kind: 'slice'`. */
export interface WalkedView {
  readonly kind: 'walked';
  /** What the object says; a walk that gives more or fewer elements and ends without an absent has met a corrupt object, and that is said. */
  readonly length?: Recipe;
  readonly element: () => Type;
  /** What finds the elements (`walked.ts` makes values of what it finds); it ends with an absent where it cannot go on. */
  readonly walk: Walk;
  /** What it is for a person: `set`, `list`. */
  readonly noun?: string;
  readonly blocks?: () => readonly Block[];
  /** Facts of its own: a channel's `{cap=4, closed=0}`. */
  readonly facts?: readonly Fact[];
  /** As of {@link SequenceView}. */
  readonly isNil?: Recipe;
}

/** std::map, HashMap, Go's maps: `kind: 'map'`, elements with the fields `key` and `value`. */
export interface WalkedMapView {
  readonly kind: 'map';
  readonly length?: Recipe;
  readonly key: () => Type;
  readonly value: () => Type;
  readonly walk: Walk;
  readonly blocks?: () => readonly Block[];
  /** As of {@link SequenceView}. */
  readonly isNil?: Recipe;
}

/**
 * Memory that a walk will read, so that a plan brings it: in the kernel nothing walks. Recipes are over the object, and in `next` over the block that leads on
 * (its address is where the block begins). A plan takes the near blocks first, and as many as its limits allow; a null address is no block.
 */
export interface Block {
  readonly address: Recipe;
  readonly bytes: Recipe;
  /** More than these are not brought. */
  readonly maxBytes: number;
  /** Objects in it whose own strings, elements and pointers are wanted, too. */
  readonly holds?: readonly { readonly type: () => Type; readonly offset: number }[];
  /** The same by recipes over what the block's address is over: of a table whose places are not all in use. */
  readonly objects?: readonly {
    readonly type: () => Type;
    readonly address: Recipe;
    /** Not zero where there is one. */
    readonly exists: Recipe;
  }[];
  readonly next?: () => readonly Block[];
  /** Such a block again and again: where the next is, over the block; how many there are, over what the block's address is over. */
  readonly again?: { readonly next: Recipe; readonly count?: Recipe };
}

export interface Entry {
  readonly key: Value;
  readonly value: Value;
}

/** An object whose type only the process knows: trait objects, Go's interfaces, std::any. Shown as a variant that names the type. */
export interface DynamicView {
  readonly kind: 'dynamic';
  /** The object as what it is; undefined for none (a nil interface, an empty any). */
  readonly resolve: (object: ObjectView, context: ViewContext) => Value | undefined | Absent;
  /** Not zero where there is no object: so that `err != nil` is decided without knowing the type, in the kernel too. */
  readonly isNone?: Recipe;
  readonly blocks?: () => readonly Block[];
  /** What no object is called: `empty`. Without it `nil`. */
  readonly none?: string;
}

/** What a walk may ask. */
export interface ViewContext {
  readonly memory: MemoryReader;
  /** The most elements that are wanted: a walk may stop there. */
  readonly maxElements: number;
  /** The symbol that a runtime address lies in, as the linker knows it: `_ZTV6Circle` and 16. */
  readonly linkSymbolAt?: (address: bigint) => { readonly name: string; readonly offset: bigint } | undefined;
  /**
   * The type that a Go runtime type descriptor, a C++ vtable or a Rust vtable at a runtime address belongs to; of a C++ member function
   * at an address, the class that it is a member of; of the code of a function of Go, the closure that it expects.
   */
  readonly typeOfDescriptor?: (
    address: bigint,
    kind: 'go-type' | 'go-closure' | 'c++-vtable' | 'c++-member' | 'rust-vtable',
  ) => Type | undefined;
  /** What an object of C++ is as a whole, by the vtable that it points to. */
  readonly dynamicTypeAt?: (
    vtable: bigint,
  ) => { readonly type: Type; readonly offsetToTop: bigint } | undefined;
}

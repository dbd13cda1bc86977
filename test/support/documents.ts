/** The JSON documents of CLI.md, as tests read them: validated by hand where a test depends on a shape. */
export interface ValueJson {
  readonly name?: string;
  readonly type: string;
  readonly kind: string;
  readonly value?: string;
  readonly text?: string;
  readonly address?: string;
  readonly fields?: readonly ValueJson[];
  readonly elements?: readonly ValueJson[];
  readonly target?: ValueJson;
  readonly length?: number;
  readonly provenance?: string;
  readonly parameter?: boolean;
  readonly absent?: { readonly reason: string; readonly detail: string; readonly hint?: string };
}

export interface FrameJson {
  readonly index: number;
  readonly function?: string;
  readonly file?: string;
  readonly line?: number;
  readonly address: string;
  readonly inlined: boolean;
  readonly locals: readonly ValueJson[];
  readonly absent?: { readonly reason: string; readonly detail: string };
}

export interface SnapshotJson {
  readonly id: string;
  readonly point: string;
  readonly pid: number;
  readonly tid: number;
  readonly comm: string;
  readonly host: string;
  readonly buildId: string;
  readonly time: string;
  readonly engine: string;
  readonly location: {
    readonly function: string;
    readonly file: string;
    readonly line: number;
    readonly address: string;
  };
  readonly frames: readonly FrameJson[];
  readonly captures: readonly (ValueJson & { readonly expression: string })[];
  readonly threads: readonly {
    readonly tid: number;
    readonly comm: string;
    readonly state: string;
    readonly frames?: readonly FrameJson[];
  }[];
  readonly cost: {
    readonly hits: number;
    readonly conditionFalse: number;
    readonly dropped: number;
    readonly stoppedNs: number;
    readonly bytes: number;
    readonly faults: number;
  };
}

/** A field of a struct (or target of a pointer to one), by path: `field(value, 'customer', 'tier')`. */
export function field(value: ValueJson | undefined, ...path: readonly string[]): ValueJson {
  let current = value;
  for (const name of path) {
    const holder: ValueJson | undefined = current?.fields === undefined ? current?.target : current;
    current = holder?.fields?.find((candidate) => candidate.name === name);
  }
  if (current === undefined) throw new Error(`no field ${path.join('.')} in ${JSON.stringify(value)}`);
  return current;
}

export function local(frame: FrameJson | undefined, name: string): ValueJson {
  const found = frame?.locals.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`no local ${name} in ${JSON.stringify(frame)}`);
  return found;
}

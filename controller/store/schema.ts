/** The tables of the embedded store. A schema never changes in place: each version is a step from the one before. */
import type { Database } from 'better-sqlite3';
import { StillframeError } from '../../format/error.js';

const steps: readonly string[] = [
  `
  CREATE TABLE points (
    id TEXT PRIMARY KEY,
    created_ms INTEGER NOT NULL,
    target TEXT NOT NULL,
    location TEXT NOT NULL,
    condition TEXT,
    captures TEXT NOT NULL,
    engine TEXT NOT NULL,
    max_hits INTEGER NOT NULL,
    min_interval_ns INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    agent TEXT NOT NULL,
    pids TEXT NOT NULL,
    module_path TEXT NOT NULL,
    build_id TEXT NOT NULL,
    plan BLOB NOT NULL,
    phase TEXT NOT NULL,
    why TEXT NOT NULL
  ) STRICT;
  CREATE TABLE snapshots (
    id TEXT PRIMARY KEY,
    point TEXT NOT NULL,
    pid INTEGER NOT NULL,
    tid INTEGER NOT NULL,
    comm TEXT NOT NULL,
    host TEXT NOT NULL,
    build_id TEXT NOT NULL,
    module_path TEXT NOT NULL,
    time_ns INTEGER NOT NULL,
    engine TEXT NOT NULL,
    function TEXT,
    file TEXT,
    line INTEGER,
    address TEXT,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL
  ) STRICT;
  CREATE INDEX snapshots_by_point ON snapshots (point);
  CREATE INDEX snapshots_by_time ON snapshots (time_ns);
  -- Announced, and not yet indexed: what a killed writer may have left between file and row.
  CREATE TABLE incoming (
    id TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL
  ) STRICT;
  `,
  `
  ALTER TABLE points ADD COLUMN kind TEXT NOT NULL DEFAULT 'snapshot';
  ALTER TABLE points ADD COLUMN every_process INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE points ADD COLUMN bounds TEXT NOT NULL DEFAULT '{}';
  ALTER TABLE points ADD COLUMN owner TEXT NOT NULL DEFAULT '';
  ALTER TABLE points ADD COLUMN note TEXT NOT NULL DEFAULT '';
  ALTER TABLE points ADD COLUMN incident TEXT;
  CREATE INDEX points_by_incident ON points (incident);
  `,
  `
  ALTER TABLE points ADD COLUMN ending TEXT NOT NULL DEFAULT '';
  CREATE TABLE armings (
    id TEXT NOT NULL,
    point TEXT NOT NULL,
    agent TEXT NOT NULL,
    host TEXT NOT NULL,
    build_id TEXT NOT NULL,
    state TEXT NOT NULL,
    why TEXT NOT NULL,
    count TEXT NOT NULL,
    PRIMARY KEY (agent, id)
  ) STRICT;
  CREATE INDEX armings_by_point ON armings (point);
  -- Snapshots that came when their point had all it asked for: by id, for one that comes twice is one.
  CREATE TABLE surplus (
    id TEXT PRIMARY KEY,
    point TEXT NOT NULL
  ) STRICT;
  CREATE INDEX surplus_by_point ON surplus (point);
  `,
  `
  -- Of rules, as controller/automation/rule-state.ts writes them.
  CREATE TABLE rule_states (
    rule TEXT PRIMARY KEY,
    json TEXT NOT NULL
  ) STRICT;
  -- Accepted from a webhook: worked off while done is 0, and kept after that for their keys alone.
  CREATE TABLE alerts (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    rule TEXT NOT NULL,
    key TEXT NOT NULL,
    json TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL,
    done INTEGER NOT NULL,
    UNIQUE (rule, key)
  ) STRICT;
  CREATE INDEX alerts_waiting ON alerts (number) WHERE done = 0;
  CREATE INDEX alerts_by_seen ON alerts (seen_ms) WHERE done = 1;
  `,
  // Incidents, the stacks of snapshots, and webhook calls that wait to be made.
  `
  CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    rule TEXT NOT NULL,
    cause_trigger TEXT NOT NULL,
    text TEXT NOT NULL,
    labels TEXT NOT NULL,
    facts TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    closed_ms INTEGER,
    events INTEGER NOT NULL,
    dropped_events INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX incidents_by_time ON incidents (started_ms, id);
  CREATE INDEX incidents_open ON incidents (id) WHERE closed_ms IS NULL;
  CREATE TABLE incident_events (
    incident TEXT NOT NULL,
    number INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    facts TEXT NOT NULL,
    PRIMARY KEY (incident, number)
  ) STRICT, WITHOUT ROWID;
  -- Those that no point of the incident brought: all threads of a process.
  CREATE TABLE incident_snapshots (
    incident TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    PRIMARY KEY (incident, snapshot)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE stack_signatures (
    snapshot TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    key TEXT NOT NULL,
    frames TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE deliveries (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    incident TEXT NOT NULL,
    event TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    time_ms INTEGER NOT NULL,
    url TEXT NOT NULL,
    token_file TEXT,
    secret_file TEXT,
    include_values INTEGER NOT NULL,
    body TEXT,
    tries INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    next_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    UNIQUE (incident, event, snapshot, url)
  ) STRICT;
  CREATE INDEX deliveries_waiting ON deliveries (incident, url, number) WHERE state = 'waiting';
  `,
  // How points are run, writes that are hits, and the host that a point of a fleet is tried at first.
  `
  ALTER TABLE points ADD COLUMN terms TEXT NOT NULL DEFAULT '{}';
  ALTER TABLE points ADD COLUMN watch TEXT NOT NULL DEFAULT '';
  ALTER TABLE points ADD COLUMN canary TEXT NOT NULL DEFAULT '';
  `,
];

/** Brings the schema up to date; true when the index was empty before. */
export function migrate(database: Database, path: string): boolean {
  const upgrade = database.transaction((): boolean => {
    const version = Number(database.pragma('user_version', { simple: true }));
    if (version > steps.length) {
      throw new StillframeError(
        'unsupported',
        `cannot open the store "${path}": it has schema ${version}, this program knows ${steps.length}`,
        { hint: 'it was written by a newer Stillframe: use that one, or another XDG_DATA_HOME' },
      );
    }
    for (const step of steps.slice(version)) database.exec(step);
    database.pragma(`user_version = ${steps.length}`);
    return version === 0;
  });
  return upgrade.immediate();
}

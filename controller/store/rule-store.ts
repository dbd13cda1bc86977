/** States of rules and accepted alerts in the database of the embedded store. */
import type { Database } from 'better-sqlite3';
import { StillframeError } from '../../format/error.js';
import {
  maxWaitingAlerts,
  type NewAlert,
  type RuleStore,
  type WaitingAlert,
} from '../automation/rule-store.js';

interface AlertRow {
  readonly number: bigint;
  readonly rule: string;
  readonly key: string;
  readonly json: string;
  readonly received_ms: bigint;
}

/** NB: the database gives integers as bigint. */
export function openRuleStore(database: Database): RuleStore {
  const statements = prepare(database);
  const accept = database.transaction((alerts: readonly NewAlert[], nowMs: number): boolean[] => {
    const waiting = Number(statements.countWaiting.get()?.count ?? 0n);
    const isNew = alerts.map(({ rule, key, json }) => {
      const added = statements.addAlert.run(rule, key, json, nowMs, nowMs).changes === 1;
      if (!added) statements.seeAlert.run(nowMs, rule, key);
      return added;
    });
    const added = isNew.filter(Boolean).length;
    if (added > 0 && waiting + added > maxWaitingAlerts) {
      throw new StillframeError('limit', `cannot take in ${added} alerts: ${waiting} wait already`);
    }
    return isNew;
  });
  const save = database.transaction((rule: string, json: string, alert: number | undefined): void => {
    statements.saveState.run(rule, json);
    if (alert !== undefined) statements.finishAlert.run(alert);
  });
  return {
    listStates: () => statements.states.all(),
    saveState: (rule, json, alert) => save.immediate(rule, json, alert),
    removeState: (rule) => void statements.removeState.run(rule),
    acceptAlerts: (alerts, nowMs) => accept.immediate(alerts, nowMs),
    listWaitingAlerts: (after, limit) => statements.waiting.all(after, limit).map(alertFromRow),
    countWaitingAlerts: () => Number(statements.countWaiting.get()?.count ?? 0n),
    finishAlert: (number) => void statements.finishAlert.run(number),
    pruneAlerts: (seenBeforeMs, atMost) =>
      statements.pruneOld.run(seenBeforeMs).changes + statements.pruneMany.run(atMost).changes,
    atomically: (work) => database.transaction(work).immediate(),
  };
}

function alertFromRow(row: AlertRow): WaitingAlert {
  return {
    number: Number(row.number),
    rule: row.rule,
    key: row.key,
    json: row.json,
    receivedMs: Number(row.received_ms),
  };
}

function prepare(database: Database) {
  return {
    states: database.prepare<[], { rule: string; json: string }>(
      'SELECT rule, json FROM rule_states ORDER BY rule',
    ),
    saveState: database.prepare<[string, string]>('INSERT OR REPLACE INTO rule_states VALUES (?, ?)'),
    removeState: database.prepare<[string]>('DELETE FROM rule_states WHERE rule = ?'),
    addAlert: database.prepare<[string, string, string, number, number]>(
      `INSERT OR IGNORE INTO alerts (rule, key, json, received_ms, seen_ms, done) VALUES (?, ?, ?, ?, ?, 0)`,
    ),
    seeAlert: database.prepare<[number, string, string]>(
      'UPDATE alerts SET seen_ms = ? WHERE rule = ? AND key = ?',
    ),
    waiting: database.prepare<[number, number], AlertRow>(
      'SELECT number, rule, key, json, received_ms FROM alerts WHERE done = 0 AND number > ? ORDER BY number LIMIT ?',
    ),
    countWaiting: database.prepare<[], { count: bigint }>(
      'SELECT count(*) AS count FROM alerts WHERE done = 0',
    ),
    // Only the key is needed from now on.
    finishAlert: database.prepare<[number]>("UPDATE alerts SET done = 1, json = '' WHERE number = ?"),
    pruneOld: database.prepare<[number]>('DELETE FROM alerts WHERE done = 1 AND seen_ms < ?'),
    pruneMany: database.prepare<[number]>(
      `DELETE FROM alerts WHERE done = 1 AND number IN
       (SELECT number FROM alerts WHERE done = 1 ORDER BY seen_ms DESC, number DESC LIMIT -1 OFFSET ?)`,
    ),
  };
}

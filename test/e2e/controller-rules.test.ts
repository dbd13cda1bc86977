import { existsSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openWorkplace, type StartedProgram, type Workplace } from '../support/cli.js';
import { startNamedTicker, uniqueName } from '../support/ticker.js';

// Several commands, each a process, and restarts of daemons.
vi.setConfig({ testTimeout: 300_000 });

/** Rules in the controller as it is shipped, with a real agent and a real service: fired by hand, and by an alert. */
let place: Workplace;
let service: string;
let controller: StartedProgram;
let listener: Server | undefined;

beforeEach(async () => {
  place = openWorkplace();
  service = uniqueName();
  await place.startAgent();
});
afterEach(async () => {
  await place[Symbol.asyncDispose]();
  listener?.close();
  listener = undefined;
});

async function start(rules: string): Promise<string> {
  const file = join(place.folder, 'rules.yaml');
  const token = join(place.folder, 'token');
  writeFileSync(file, rules);
  writeFileSync(token, 's3cret\n');
  const args = ['--rules', file, '--http', '127.0.0.1:0', '--webhook-token', token];
  controller = await place.startController({ args });
  await expect.poll(async () => (await place.run('doctor')).status).toBe(0);
  return /http:\/\/\S+/.exec(controller.lines[0] ?? '')?.[0] ?? '';
}

interface IncidentJson {
  readonly id: string;
  readonly state: string;
  readonly cause: string;
  readonly snapshots: number;
  readonly stacks: number;
  readonly timeline: readonly { readonly kind: string; readonly text: string }[];
  readonly groups: readonly { readonly stack: readonly string[]; readonly snapshots: readonly string[] }[];
}

async function lastIncident(): Promise<IncidentJson> {
  const [incident] = (await place.json('incidents', 'show', 'last')) as [IncidentJson];
  return incident;
}

const byHand = (): string => `
rules:
  - name: by-hand
    when: { manual: {} }
    where: name:${service}
    what:
      - snapshot: { at: pass, capture: [tick->number], hits: 1 }
`;

describe('by hand', () => {
  test('ls, test, fire: an incident with its snapshot, as text, as documents, as an archive', async () => {
    await startNamedTicker(place, service);
    await start(byHand());
    expect(await place.json('rules', 'ls')).toMatchObject([
      { name: 'by-hand', trigger: 'manual', state: 'active', firings: 0 },
    ]);
    expect(await place.json('rules', 'test', 'by-hand')).toMatchObject([
      { rule: 'by-hand', wouldFire: true },
    ]);
    const [firing] = (await place.json('rules', 'fire', 'by-hand')) as [{ fired: boolean; incident: string }];
    expect(firing.fired).toBe(true);
    await expect.poll(async () => (await lastIncident()).snapshots).toBe(1);
    const incident = await lastIncident();
    expect(incident.id).toBe(firing.incident);
    expect(incident.timeline.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['fired', 'armed', 'snapshot']),
    );
    expect(incident.groups[0]?.stack[0]).toMatch(/^pass /);
    const { stdout } = await place.run('incidents', 'show', 'last');
    expect(stdout).toContain('stacks  1 snapshot, 1 different stack');
    expect(await place.json('incidents', '--rule', 'by-hand', '--since', '1h')).toHaveLength(1);
    const file = join(place.folder, 'incident.tar.gz');
    await place.json('incidents', 'export', 'last', '-o', file);
    expect(statSync(file).size).toBeGreaterThan(500);
    expect(statSync(file).mode & 0o077).toBe(0);
    const missing = await place.run('rules', 'fire', 'by-hend', '--json');
    expect(missing.status).toBe(3);
    expect(JSON.parse(missing.stdout)).toMatchObject({
      error: { code: 'not-found', candidates: ['by-hand'] },
    });
  });

  test('rules are kept over a kill -9, and so is the incident', async () => {
    await startNamedTicker(place, service);
    await start(byHand());
    await place.json('rules', 'fire', 'by-hand');
    await expect.poll(async () => (await lastIncident()).snapshots).toBe(1);
    const { id } = await lastIncident();
    controller.process.kill('SIGKILL');
    await new Promise((resolve) => controller.process.once('exit', resolve));
    await start(byHand());
    expect((await lastIncident()).id).toBe(id);
    expect(await place.json('rules', 'ls')).toMatchObject([{ name: 'by-hand', firings: 1 }]);
  });
});

describe('by an alert', () => {
  test('with a token it fires once, however often it is sent; a webhook is told; metrics count it', async () => {
    const told: { event: string }[] = [];
    listener = createServer((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        told.push(JSON.parse(body) as { event: string });
        response.end();
      });
    });
    await new Promise<void>((resolve) => listener?.listen(0, '127.0.0.1', resolve));
    const { port } = listener.address() as AddressInfo;
    await startNamedTicker(place, service);
    const url = await start(`
rules:
  - name: errors
    when: { alertmanager: { alert: Errors } }
    where: name:${service}
    what:
      - snapshot: { at: pass, hits: 1 }
    notify:
      - url: http://127.0.0.1:${port}/hook
`);
    const alert = {
      version: '4', groupKey: 'g', status: 'firing', receiver: 'r', truncatedAlerts: 0,
      alerts: [{ status: 'firing', labels: { alertname: 'Errors' }, annotations: {}, startsAt: new Date().toISOString(), endsAt: '0001-01-01T00:00:00Z', fingerprint: 'f' }],
    }; // prettier-ignore
    const send = async (token?: string): Promise<number> => {
      const headers = {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      };
      return (await fetch(`${url}/api/v1/alerts`, { method: 'POST', headers, body: JSON.stringify(alert) }))
        .status;
    };
    expect(await send()).toBe(401);
    for (let i = 0; i < 5; i++) expect(await send('s3cret')).toBe(200);
    await expect.poll(async () => (await place.json('incidents')).length).toBe(1);
    await expect.poll(async () => (await lastIncident()).snapshots).toBe(1);
    expect(await place.json('rules', 'ls')).toMatchObject([{ firings: 1 }]);
    await expect
      .poll(() => told.map(({ event }) => event))
      .toEqual(expect.arrayContaining(['incident-opened', 'snapshot']));
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('stillframe_rule_firings_total{rule="errors"} 1');
    expect(metrics).toContain('stillframe_webhook_requests_total{path="/api/v1/alerts",result="accepted"} 5');
    expect(metrics).toContain(
      'stillframe_webhook_requests_total{path="/api/v1/alerts",result="unauthorized"} 1',
    );
  });
});

test('a rules file with an error is told, and does not keep the controller from running', async () => {
  await start('rules:\n  - name: 3\n');
  expect(await place.json('rules', 'ls')).toMatchObject([{ state: 'loading-failed' }]);
  expect(existsSync(join(place.folder, 'controller.sock'))).toBe(true);
});

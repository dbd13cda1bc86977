/** The trigger that a rule asks for. */
import type { FleetWatches } from '../../fleet/fleet.js';
import type { Points } from '../../fleet/points.js';
import type { Clock } from '../clock.js';
import type { Rule } from '../rule.js';
import type { Trigger } from '../trigger.js';
import { AlertmanagerTrigger } from './alertmanager.js';
import { LogTrigger } from './log.js';
import { manualTrigger } from './manual.js';
import { MetricTrigger } from './metric.js';
import { ProcessTrigger } from './process.js';
import { PrometheusTrigger } from './prometheus.js';

export interface TriggerDependencies {
  readonly points: Points;
  readonly watches: FleetWatches;
  readonly clock: Clock;
}

export function makeTrigger({ name, when }: Rule, dependencies: TriggerDependencies): Trigger {
  const { points, watches, clock } = dependencies;
  switch (when.kind) {
    case 'prometheus':
      return new PrometheusTrigger(when, clock);
    case 'alertmanager':
      return new AlertmanagerTrigger(when, clock);
    case 'metric':
      return new MetricTrigger(name, when, { points, clock });
    case 'log':
      return new LogTrigger(when, { watches, clock });
    case 'process':
      return new ProcessTrigger(when, watches);
    case 'manual':
      return manualTrigger();
  }
}

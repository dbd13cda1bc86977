/** `grpc.health.v1.Health`: NOT_SERVING while the controller starts and stops, overall and for each service. */
import type { Server } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';

export interface Health {
  set(serving: boolean): void;
}

/** Adds the service to a server that is not started yet. `services`: full names. */
export function serveHealth(server: Server, services: readonly string[]): Health {
  const health = new HealthImplementation();
  const set = (serving: boolean): void => {
    // The empty name is the server as a whole.
    for (const service of ['', ...services]) health.setStatus(service, serving ? 'SERVING' : 'NOT_SERVING');
  };
  set(false);
  health.addToServer(server);
  return { set };
}

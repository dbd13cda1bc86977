/**
 * Who is who: a seat for each agent that is configured or was ever here, its name, and the conversation that it holds now. The same
 * agent that comes again takes its own seat, and its newest conversation is the one that counts; another agent never takes a seat that
 * is held, whatever it says of itself.
 */
import type { AgentConversation } from '../rpc/agent-client.js';
import type { AgentStatus, FleetAgent } from './fleet.js';

interface Seat {
  readonly identity: string;
  /** It was configured to be dialed there; undefined for an agent that dials. */
  readonly dialed: boolean;
  address: string;
  /** Undefined until it has greeted once. */
  host: string | undefined;
  /** What it said that its host is called. */
  claimed: string;
  agent: FleetAgent | undefined;
  sinceMs: number;
  error: string | undefined;
}

/** What became of an agent that greeted. */
export type Admission =
  | {
      readonly agent: FleetAgent;
      /** The conversation whose place it took. */
      readonly replaced: FleetAgent | undefined;
    }
  /** Why it is not wanted. */
  | { readonly refused: string };

/** Agents that dialed once and are gone: as many are remembered. */
const maxGone = 1000;

export class Roster {
  readonly #seats = new Map<string, Seat>();

  /** An agent that is to be dialed. */
  expect(address: string): void {
    const identity = dialedIdentity(address);
    this.#seats.set(identity, makeSeat(identity, address, true));
  }

  admit(client: AgentConversation): Admission {
    const twin = this.#twinOf(client);
    if (twin?.dialed === true && twin.address !== client.address) {
      return { refused: `it is the agent at ${twin.address}, which is dialed already` };
    }
    const seat = this.#seatOf(client);
    const { host } = client.facts;
    const replaced = seat.agent ?? twin?.agent;
    // One that dialed, and is reached by dialing it now, needs one seat only.
    if (twin !== undefined && twin !== seat) this.#seats.delete(twin.identity);
    if (seat.host === undefined || seat.claimed !== host) seat.host = this.#nameFor(host, seat);
    seat.claimed = host;
    seat.address = client.address;
    seat.sinceMs = Date.now();
    seat.error = undefined;
    seat.agent = { host: seat.host, identity: seat.identity, address: client.address, client };
    return { agent: seat.agent, replaced };
  }

  /** False when the seat is held by another conversation already. */
  leave(agent: FleetAgent, reason: string): boolean {
    const seat = this.#seats.get(agent.identity);
    if (seat?.agent !== agent) return false;
    seat.agent = undefined;
    seat.sinceMs = Date.now();
    seat.error = reason;
    this.#forgetGone();
    return true;
  }

  /** A dialed agent could not be reached. */
  failed(address: string, reason: string): void {
    const seat = this.#seats.get(dialedIdentity(address));
    if (seat !== undefined && seat.agent === undefined) seat.error = reason;
  }

  agents(): readonly FleetAgent[] {
    return [...this.#seats.values()].flatMap(({ agent }) => (agent === undefined ? [] : [agent]));
  }

  statuses(): readonly AgentStatus[] {
    return [...this.#seats.values()].map((seat) => ({
      // One that never greeted is known by its address only.
      host: seat.host ?? seat.address,
      identity: seat.identity,
      address: seat.address,
      connected: seat.agent !== undefined,
      sinceMs: seat.sinceMs,
      ...(seat.error === undefined ? {} : { error: seat.error }),
    }));
  }

  /** The seat of the same process, by whatever way it is talked to: two conversations with it would count all that it says twice. */
  #twinOf({ facts }: AgentConversation): Seat | undefined {
    return [...this.#seats.values()].find(({ agent }) => {
      const other = agent?.client.facts;
      return (
        other !== undefined &&
        other.bootId !== '' &&
        other.bootId === facts.bootId &&
        other.pidNamespace === facts.pidNamespace &&
        other.pid === facts.pid &&
        other.host === facts.host
      );
    });
  }

  #seatOf(client: AgentConversation): Seat {
    if (!client.dialedIn) {
      const identity = dialedIdentity(client.address);
      return this.#seats.get(identity) ?? this.#add(makeSeat(identity, client.address, true));
    }
    // Two agents of one machine say the same of themselves, and are two all the same: only their pids tell.
    const base = dialingIdentity(client);
    for (let number = 1; ; number++) {
      const identity = number === 1 ? base : `${base} #${number}`;
      const seat = this.#seats.get(identity);
      if (seat === undefined) return this.#add(makeSeat(identity, client.address, false));
      if (seat.agent === undefined || isSame(seat.agent.client, client)) return seat;
    }
  }

  #add(seat: Seat): Seat {
    this.#seats.set(seat.identity, seat);
    return seat;
  }

  /** The host as it calls itself; with a number where another agent holds that name. */
  #nameFor(host: string, own: Seat): string {
    for (let number = 1; ; number++) {
      const name = number === 1 ? host : `${host}#${number}`;
      const holder = [...this.#seats.values()].find((seat) => seat !== own && seat.host === name);
      if (holder === undefined) return name;
      if (holder.agent === undefined && !holder.dialed && !own.dialed) {
        // It dialed, is gone, and another came in its place: a host that was set up anew.
        this.#seats.delete(holder.identity);
        return name;
      }
    }
  }

  #forgetGone(): void {
    const gone = [...this.#seats.values()].filter((seat) => seat.agent === undefined && !seat.dialed);
    if (gone.length <= maxGone) return;
    const [oldest] = gone.toSorted((a, b) => a.sinceMs - b.sinceMs);
    if (oldest !== undefined) this.#seats.delete(oldest.identity);
  }
}

function makeSeat(identity: string, address: string, dialed: boolean): Seat {
  return {
    identity,
    dialed,
    address,
    host: undefined,
    claimed: '',
    agent: undefined,
    sinceMs: Date.now(),
    error: dialed ? 'it is being dialed for the first time' : undefined,
  };
}

const dialedIdentity = (address: string): string => `dialed ${address}`;

/** With TLS who the certificate says, for a host keeps that when it boots again; without, the boot of the kernel and the namespace. */
function dialingIdentity({ certificateName, facts }: AgentConversation): string {
  const { bootId, pidNamespace, host } = facts;
  return certificateName === undefined
    ? `boot ${bootId} ${pidNamespace} ${host}`
    : `certificate ${certificateName} ${host}`;
}

/** Whether a newcomer is the agent that holds the seat: the same process, or the same machine after another boot. */
function isSame({ facts: old }: AgentConversation, { facts }: AgentConversation): boolean {
  return old.pid === facts.pid || old.bootId !== facts.bootId;
}

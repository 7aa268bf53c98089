import type { EntryState } from '@smartpulse/redis-cache/embedded';
import type { Automaton } from './automaton.js';
import type { ReplicaInput, ReplicaOutput, ReplicaView } from './replica.subject.js';
import type { ServerInput, ServerOutput } from './server.subject.js';

export type Replicas = Automaton<ReplicaInput, ReplicaOutput, ReplicaView>;
export type Server = Automaton<ServerInput, ServerOutput, EntryState | undefined>;

/** What the server does with a request in one of its states. */
export interface Served {
  readonly to: number;
  readonly reply: number;
  readonly messages: readonly number[];
}

/** What an input does to a replica in one of its states. */
export interface Step {
  readonly to: number;
  readonly ended: readonly EndedCall[];
}

/** A call that has ended, as far as it counts. */
export interface EndedCall {
  readonly slot: number;
  readonly failed: boolean;
  /** The content that a reader was shown as what is there; `undefined`: none. */
  readonly shown: number | undefined;
}

/** What can happen to a replica's calls, seen from outside, for one of its states. */
export interface Plan {
  /** `server`: the number of the request as an input of the server; -1: it is the loader's. */
  readonly calls: readonly { readonly slot: number; readonly server: number }[];
  readonly used: number;
  readonly view: ReplicaView;
}

/** What can happen in each state of the replicas, in the numbers that a search works with. */
export class Plans {
  readonly #plans: readonly [Plan[], Plan[]] = [[], []];

  constructor(
    private readonly replicas: readonly [Replicas, Replicas],
    private readonly server: Server,
  ) {}

  of(r: number, node: number): Plan {
    const plans = this.#plans[r as 0 | 1];
    let plan = plans[node];
    if (plan === undefined) {
      const view = this.replicas[r as 0 | 1].view(node);
      const calls = view.calls.flatMap(({ slot, request }) => {
        if (request === undefined) {
          return [];
        }
        return [{ slot, server: request.op === 'load' ? -1 : this.server.inputs.id(request) }];
      });
      const used = view.calls.reduce((bits, { slot }) => bits | (1 << slot), 0);
      plan = { calls, used, view };
      plans[node] = plan;
    }
    return plan;
  }
}

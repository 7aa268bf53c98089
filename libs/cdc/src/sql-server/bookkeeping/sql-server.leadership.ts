import { hostname } from 'node:os';
import type { Clock, Random } from '@smartpulse/resilience';
import { KeptLease, type LeaseGrant, type LeaseRecord } from '../../leadership/kept-lease.js';
import { type Lease, Leadership } from '../../leadership/leadership.js';
import { bigintIn, firstOf } from '../pool/cells.js';
import type { SqlServerAnswer } from '../pool/sql-server.pool.js';
import type { SqlServerStatements } from '../pool/sql-server.statements.js';
import {
  askForLease,
  leaveReplicas,
  type LeaseRequest,
  releaseLease,
  renewLease,
  takeLease,
} from '../statements/leases.js';

/** How leases are held. */
export interface SqlServerLeadershipOptions {
  readonly statements: SqlServerStatements;
  readonly clock: Clock;
  readonly random: Random;
  /** How long a lease lives without being renewed, in milliseconds. */
  readonly ttlMs: number;
  /** Names this replica in the table. Default: the machine's name. */
  readonly owner?: string | undefined;
}

/**
 * Leases in a table, on the server's clock, spread over the replicas: each takes its share of the tables (their number divided by the
 * replicas that live, rounded up) and leaves the rest to others, takes what nobody else took for the life of a lease, and gives one back at
 * each renewal while it has more than its share. There is no lock for all of them, so no replica waits for another.
 */
export class SqlServerLeadership extends Leadership {
  readonly #options: SqlServerLeadershipOptions;
  readonly #owner: string;
  readonly #held = new Set<KeptLease>();
  #gaveBackAtMs = Number.NEGATIVE_INFINITY;
  #asked = false;

  constructor(options: SqlServerLeadershipOptions) {
    super();
    this.#options = options;
    // Two objects are two holders, even of one name.
    const own = Math.trunc(options.random.next() * 2 ** 48).toString(36);
    this.#owner = `${(options.owner ?? hostname()).slice(0, 150)}/${own}`;
  }

  override async acquire(resource: string): Promise<Lease | undefined> {
    const { statements, clock, ttlMs } = this.#options;
    const request = this.#request(resource);
    this.#asked = true;
    const { share, held } = shareIn(await statements.run(askForLease(request)), 0);
    const sinceMs = clock.monotonic();
    const taken = firstOf(await statements.run(takeLease(request, held < share ? 0 : ttlMs)), 0);
    return taken === undefined ? undefined : this.#keep({ resource, ttlMs, sinceMs, fence: bigintIn(taken, 0) });
  }

  /** Gives everything back: the tables go to the other replicas at once. Idempotent. */
  async leave(): Promise<void> {
    if (!this.#asked) {
      return;
    }
    this.#asked = false;
    await Promise.all([...this.#held].map((lease) => lease.release()));
    const { statements } = this.#options;
    await statements.run(leaveReplicas(this.#owner, statements.schema, statements.limits));
  }

  #request(resource: string): LeaseRequest {
    const { statements, ttlMs } = this.#options;
    return { ...statements.limits, schema: statements.schema, resource, owner: this.#owner, ttlMs };
  }

  #keep(grant: LeaseGrant): Lease {
    const lease = new KeptLease(this.#options.clock, grant, this.#record(grant), (ended) => this.#held.delete(ended));
    this.#held.add(lease);
    return lease;
  }

  #record({ resource, fence }: LeaseGrant): LeaseRecord {
    const { statements, clock, ttlMs } = this.#options;
    const request = { ...this.#request(resource), fence };
    return {
      renew: async () => {
        const answer = await statements.run(renewLease(request));
        if (firstOf(answer, 0) === undefined) {
          return 'taken';
        }
        const { share, held } = shareIn(answer, 1);
        // One at a time: all leases renew at about the same time, and each of them sees the same surplus.
        if (held <= share || clock.monotonic() - this.#gaveBackAtMs < ttlMs / 2) {
          return 'renewed';
        }
        this.#gaveBackAtMs = clock.monotonic();
        return 'surplus';
      },
      free: async () => {
        await statements.run(releaseLease(request));
      },
    };
  }
}

function shareIn(answer: SqlServerAnswer, set: number): { readonly share: bigint; readonly held: bigint } {
  const row = firstOf(answer, set) ?? [];
  const [resources, replicas, held] = [bigintIn(row, 0), bigintIn(row, 1), bigintIn(row, 2)];
  const among = replicas < 1n ? 1n : replicas;
  return { share: (resources + among - 1n) / among, held };
}

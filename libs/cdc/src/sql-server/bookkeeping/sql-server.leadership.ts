import { hostname } from 'node:os';
import { Logger } from '@nestjs/common';
import type { Clock, Random } from '@smartpulse/resilience';
import { KeptLease, type LeaseGrant, type LeaseRenewal } from '../../leadership/kept-lease.js';
import { type Lease, Leadership } from '../../leadership/leadership.js';
import { bigintIn, firstOf, setOf, textIn } from '../pool/cells.js';
import type { SqlServerAnswer } from '../pool/sql-server.pool.js';
import type { SqlServerStatements } from '../pool/sql-server.statements.js';
import { SqlServerBookkeepingError } from '../sql-server.errors.js';
import {
  askForLease,
  leaveReplicas,
  type LeaseRequest,
  MOST_LEASES_PER_RENEWAL,
  releaseLease,
  renewLeases,
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

/** One renewal of many leases. */
interface Round {
  readonly sinceMs: number;
  readonly leases: ReadonlySet<KeptLease>;
  readonly answer: Promise<SqlServerAnswer>;
}

/**
 * Leases in a table, on the server's clock, spread over the replicas: each takes its share of the tables (their number divided by the
 * replicas that live, rounded up) and leaves the rest to others, takes what nobody else took for the life of a lease, and gives one back at
 * each renewal while it has more than its share. There is no lock for all of them, so no replica waits for another. All leases of a replica
 * are renewed by one statement.
 */
export class SqlServerLeadership extends Leadership {
  readonly #logger = new Logger(SqlServerLeadership.name);
  readonly #options: SqlServerLeadershipOptions;
  readonly #owner: string;
  readonly #held = new Set<KeptLease>();
  #gaveBackAtMs = Number.NEGATIVE_INFINITY;
  #asked = false;
  #round: Round | undefined;

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

  /**
   * Gives everything back: the tables go to the other replicas at once. Idempotent. It never rejects: where the server does not take it, leases
   * and share end by themselves.
   */
  async leave(): Promise<void> {
    if (!this.#asked) {
      return;
    }
    this.#asked = false;
    const { statements } = this.#options;
    const left = await Promise.allSettled([
      ...[...this.#held].map((lease) => lease.release()),
      statements.run(leaveReplicas(this.#owner, statements.schema, statements.limits)),
    ]);
    const failed: unknown = left.find((one) => one.status === 'rejected')?.reason;
    // Without its table nothing was ever held, and whoever asked for a lease was told so.
    if (failed !== undefined && !SqlServerBookkeepingError.is(failed)) {
      this.#logger.warn(
        `What this replica held was not given back (${failed instanceof Error ? failed.name : typeof failed}); it ends by itself within ${this.#options.ttlMs} ms.`,
      );
    }
  }

  #request(resource: string): LeaseRequest {
    const { statements, ttlMs } = this.#options;
    return { ...statements.limits, schema: statements.schema, resource, owner: this.#owner, ttlMs };
  }

  #keep(grant: LeaseGrant): Lease {
    const { statements, clock } = this.#options;
    const lease: KeptLease = new KeptLease(
      clock,
      grant,
      {
        renew: () => this.#renew(lease),
        free: async () => {
          await statements.run(releaseLease({ ...this.#request(grant.resource), fence: grant.fence }));
        },
      },
      (ended) => this.#held.delete(ended),
    );
    this.#held.add(lease);
    return lease;
  }

  /** Renews a lease, and all others with it: their own times to renew come to be one time. */
  async #renew(lease: KeptLease): Promise<LeaseRenewal> {
    const { clock, ttlMs } = this.#options;
    const running = this.#round;
    const round = running?.leases.has(lease) === true ? running : this.#begin(lease);
    const answer = await round.answer;
    if (!renewedIn(answer, lease)) {
      return 'taken';
    }
    const { share, held } = shareIn(answer, 1);
    // One at a time: each of them sees the same surplus.
    if (held <= share || clock.monotonic() - this.#gaveBackAtMs < ttlMs / 2) {
      return { renewedSinceMs: round.sinceMs };
    }
    this.#gaveBackAtMs = clock.monotonic();
    return 'surplus';
  }

  #begin(first: KeptLease): Round {
    const { statements, clock } = this.#options;
    const others = [...this.#held].filter((lease) => lease !== first).slice(0, MOST_LEASES_PER_RENEWAL - 1);
    const leases = new Set([first, ...others]);
    for (const lease of others) {
      // To the end: who does not fit this time comes first the next time.
      this.#held.delete(lease);
      this.#held.add(lease);
    }
    const round = { sinceMs: clock.monotonic(), leases };
    const send = async (): Promise<SqlServerAnswer> => {
      try {
        const answer = await statements.run(renewLeases(this.#request(first.resource), [...leases]));
        others.filter((lease) => renewedIn(answer, lease)).forEach((lease) => lease.renewed(round.sinceMs));
        return answer;
      } finally {
        // Whoever comes from here on needs a later answer.
        this.#round = this.#round?.leases === leases ? undefined : this.#round;
      }
    };
    this.#round = { ...round, answer: send() };
    return this.#round;
  }
}

function renewedIn(answer: SqlServerAnswer, { resource, fence }: Lease): boolean {
  return setOf(answer, 0).some((row) => textIn(row, 0) === resource && bigintIn(row, 1) === fence);
}

function shareIn(answer: SqlServerAnswer, set: number): { readonly share: bigint; readonly held: bigint } {
  const row = firstOf(answer, set) ?? [];
  const [resources, replicas, held] = [bigintIn(row, 0), bigintIn(row, 1), bigintIn(row, 2)];
  const among = replicas < 1n ? 1n : replicas;
  return { share: (resources + among - 1n) / among, held };
}

import { checkOptions } from '@smartpulse/resilience';
import { Logger } from '@nestjs/common';
import { z } from 'zod';
import { KeptLease, type LeaseGrant, type LeaseRecord } from '../leadership/kept-lease.js';
import { type Lease, Leadership } from '../leadership/leadership.js';
import { EmbeddedDatabaseClosedError } from './embedded.errors.js';
import type { EmbeddedDatabase } from './embedded.database.js';
import { integerOf } from './sql/sql-value.js';

/** How leases are held. */
export interface EmbeddedLeadershipOptions {
  /** Names this replica in the lease. Default: a name of its own for every object. */
  readonly owner?: string | undefined;
  /** How long a lease lives without being renewed, in milliseconds. Default 30,000. It is renewed every third of it. */
  readonly ttlMs?: number | undefined;
}

const TTL = 'expected a whole number of milliseconds from 100 to 3600000';
const optionsSchema = z.strictObject({
  owner: z.string('expected a name').min(1, 'expected a name').max(200, 'expected at most 200 characters').optional(),
  ttlMs: z.int(TTL).min(100, TTL).max(3_600_000, TTL).default(30_000),
});

/**
 * Leases in a table of the database, on its clock. The holder stops by itself a sixth of the time before the lease could be taken by
 * another. Fences stay in the file, and are never below the clock's milliseconds, so that they rise across restarts and restored files.
 */
export class EmbeddedLeadership extends Leadership {
  readonly #logger = new Logger(EmbeddedLeadership.name);
  readonly #database: EmbeddedDatabase;
  readonly #owner: string;
  readonly #ttlMs: number;

  /** @throws ConfigurationError */
  constructor(database: EmbeddedDatabase, options: EmbeddedLeadershipOptions = {}) {
    super();
    const checked = checkOptions('EmbeddedLeadership', optionsSchema, options);
    this.#database = database;
    // Two objects are two holders, even of one name.
    this.#owner = `${checked.owner ?? 'replica'}/${database.nextOwner()}`;
    this.#ttlMs = checked.ttlMs;
  }

  override async acquire(resource: string): Promise<Lease | undefined> {
    const owner = this.#owner;
    const ttlMs = this.#ttlMs;
    const { clock } = this.#database;
    const granted = await this.#database.write(`acquire ${resource}`, ({ connection }) => {
      const now = clock.monotonic();
      const row = connection.get(
        `INSERT INTO smartpulse_lease (resource, owner, fence, expires_at_ms) VALUES (?1, ?2, ?5, ?3)
          ON CONFLICT (resource) DO UPDATE SET owner = excluded.owner, fence = MAX(fence + 1, excluded.fence), expires_at_ms = excluded.expires_at_ms
          WHERE owner IS NULL OR expires_at_ms <= ?4 RETURNING fence`,
        resource,
        owner,
        now + ttlMs,
        now,
        // A file that was put back from a backup has the fences of then: those given out since must stay below.
        BigInt(Math.max(1, Math.trunc(clock.now()))),
      );
      if (row === undefined) {
        return undefined;
      }
      // Its timer may be late, when the event loop stood still: nobody reads on while another holds the lease.
      this.#database.leases.get(resource)?.end('another replica holds it');
      return { fence: integerOf(row, 'fence'), sinceMs: now };
    });
    return granted === undefined ? undefined : this.#keep({ resource, ttlMs, ...granted });
  }

  #keep(grant: LeaseGrant): Lease {
    const database = this.#database;
    const { leases, closing, clock } = database;
    const onClosing = (): void => lease.end('the database closes');
    const lease: KeptLease = new KeptLease(clock, grant, this.#record(grant), (ended) => {
      closing.removeEventListener('abort', onClosing);
      if (leases.get(grant.resource) === ended) {
        leases.delete(grant.resource);
      }
    });
    if (closing.aborted) {
      onClosing();
      return lease;
    }
    closing.addEventListener('abort', onClosing, { once: true });
    leases.set(grant.resource, lease);
    return lease;
  }

  #record({ resource, fence, ttlMs }: LeaseGrant): LeaseRecord {
    const database = this.#database;
    const { clock } = database;
    const owner = this.#owner;
    return {
      renew: async (ended) => {
        const sinceMs = clock.monotonic();
        try {
          const renewed = await database.write(`renew ${resource}`, ({ connection }) =>
            // It may have waited for its turn until the lease was given up here: then it must not live on in the table.
            ended.aborted
              ? 0
              : connection.run(
                  'UPDATE smartpulse_lease SET expires_at_ms = ? WHERE resource = ? AND owner = ? AND fence = ?',
                  sinceMs + ttlMs,
                  resource,
                  owner,
                  fence,
                ),
          );
          return renewed === 0 ? 'taken' : { renewedSinceMs: sinceMs };
        } catch (error) {
          this.#logger.error(`The lease of "${resource}" could not be renewed.`, error);
          return 'failed';
        }
      },
      free: async () => {
        try {
          await database.write(`release ${resource}`, ({ connection }) =>
            connection.run(
              'UPDATE smartpulse_lease SET owner = NULL, expires_at_ms = 0.0 WHERE resource = ? AND owner = ? AND fence = ?',
              resource,
              owner,
              fence,
            ),
          );
        } catch (error) {
          // A closed database has no leases: the next one to open it finds all of them free.
          if (!EmbeddedDatabaseClosedError.is(error)) {
            throw error;
          }
        }
      },
    };
  }
}

import { type Clock, checkOptions, type Timer } from '@smartpulse/resilience';
import { Logger } from '@nestjs/common';
import { z } from 'zod';
import { type Lease, Leadership } from '../leadership/leadership.js';
import { EmbeddedDatabaseClosedError } from './embedded.errors.js';
import type { EmbeddedDatabase, HeldLease } from './embedded.database.js';
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
      this.#database.leases.get(resource)?.lose();
      return { fence: integerOf(row, 'fence'), sinceMs: now };
    });
    return granted === undefined
      ? undefined
      : new EmbeddedLease(this.#database, { resource, owner, ttlMs, ...granted });
  }
}

interface Grant {
  readonly resource: string;
  readonly owner: string;
  readonly ttlMs: number;
  readonly fence: bigint;
  readonly sinceMs: number;
}

class EmbeddedLease implements Lease, HeldLease {
  readonly resource: string;
  readonly fence: bigint;
  readonly #logger = new Logger(EmbeddedLeadership.name);
  readonly #database: EmbeddedDatabase;
  readonly #clock: Clock;
  readonly #grant: Grant;
  readonly #ended = new AbortController();
  readonly #onClosing = (): void => this.#end('the database closes');
  #renewal: Timer | undefined;
  #deadline: Timer | undefined;
  #freed = false;

  constructor(database: EmbeddedDatabase, grant: Grant) {
    this.resource = grant.resource;
    this.fence = grant.fence;
    this.#database = database;
    this.#clock = database.clock;
    this.#grant = grant;
    if (database.closing.aborted) {
      this.#end('the database closes');
      return;
    }
    database.closing.addEventListener('abort', this.#onClosing, { once: true });
    database.leases.set(grant.resource, this);
    this.#hold(grant.sinceMs);
  }

  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Also after it was lost here: as long as no other replica has taken it, the next one need not wait for its end. */
  async release(): Promise<void> {
    this.#end('it was released');
    if (this.#freed) {
      return;
    }
    const { resource, owner, fence } = this.#grant;
    try {
      await this.#database.write(`release ${resource}`, ({ connection }) =>
        connection.run(
          'UPDATE smartpulse_lease SET owner = NULL, expires_at_ms = 0.0 WHERE resource = ? AND owner = ? AND fence = ?',
          resource,
          owner,
          fence,
        ),
      );
      this.#freed = true;
    } catch (error) {
      // A closed database has no leases: the next one to open it finds all of them free.
      if (!EmbeddedDatabaseClosedError.is(error)) {
        throw error;
      }
    }
  }

  /** Another replica has taken it. */
  lose(): void {
    this.#end('another replica holds it');
  }

  /** Counts the lease's time from `sinceMs`, before it was written: so it ends here earlier than in the table. */
  #hold(sinceMs: number): void {
    const { ttlMs } = this.#grant;
    const elapsedMs = this.#clock.monotonic() - sinceMs;
    this.#deadline?.cancel();
    this.#deadline = this.#clock.setTimer((ttlMs * 5) / 6 - elapsedMs, () => this.#end('it was not renewed in time'));
    this.#renewal = this.#clock.setTimer(ttlMs / 3 - elapsedMs, () => {
      this.#renew().catch((error: unknown) => {
        this.#logger.error(`The lease of "${this.resource}" could not be renewed.`, error);
        this.#end('it could not be renewed');
      });
    });
  }

  async #renew(): Promise<void> {
    const { resource, owner, fence, ttlMs } = this.#grant;
    const sinceMs = this.#clock.monotonic();
    const renewed = await this.#database.write(`renew ${resource}`, ({ connection }) =>
      // It may have waited for its turn until the lease was given up here: then it must not live on in the table.
      this.#ended.signal.aborted
        ? 0
        : connection.run(
            'UPDATE smartpulse_lease SET expires_at_ms = ? WHERE resource = ? AND owner = ? AND fence = ?',
            sinceMs + ttlMs,
            resource,
            owner,
            fence,
          ),
    );
    if (this.#ended.signal.aborted) {
      return;
    }
    if (renewed === 0) {
      this.#end('another replica holds it');
      return;
    }
    this.#hold(sinceMs);
  }

  #end(why: string): void {
    this.#renewal?.cancel();
    this.#deadline?.cancel();
    this.#database.closing.removeEventListener('abort', this.#onClosing);
    if (this.#database.leases.get(this.resource) === this) {
      this.#database.leases.delete(this.resource);
    }
    if (!this.#ended.signal.aborted) {
      this.#ended.abort(new Error(`The lease of "${this.resource}" ended: ${why}.`));
    }
  }
}

import { Logger } from '@nestjs/common';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Lease } from '../../leadership/leadership.js';
import { type SqlServerAnswer, SqlServerPool } from '../pool/sql-server.pool.js';
import { SqlServerStatements } from '../pool/sql-server.statements.js';
import type { SqlServerStatement } from '../statements/statement.js';
import { SqlServerLeadership } from './sql-server.leadership.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

/** Grants whatever is asked for, and renews all but what another replica has taken. */
class LeaseTable extends SqlServerPool {
  readonly renewals: (readonly string[])[] = [];
  readonly taken = new Set<string>();
  /** What a renewal waits for before it is answered. */
  answering: () => Promise<void> = async () => {};
  readonly names: string[] = [];
  failing: Error | undefined;
  failingOnce: string | undefined;
  #fence = 0n;

  override async run({ name, parameters }: SqlServerStatement): Promise<SqlServerAnswer> {
    this.names.push(name);
    if (this.failing !== undefined) {
      throw this.failing;
    }
    if (this.failingOnce === name) {
      this.failingOnce = undefined;
      throw new Error('once');
    }
    if (name === 'askForLease') {
      return [[[1_000, 1, 0]]];
    }
    if (name === 'takeLease') {
      return [[[++this.#fence]]];
    }
    if (name !== 'renewLeases') {
      return [];
    }
    const [, , ...pairs] = parameters.map(({ value }) => value);
    const leases = pairs.flatMap((value, index) => (typeof value === 'string' ? [[value, pairs[index + 1]]] : []));
    this.renewals.push(leases.map(([resource]) => String(resource)));
    await this.answering();
    return [leases.filter(([resource]) => !this.taken.has(String(resource))), [[1_000, 1, leases.length]]];
  }

  override close(): Promise<void> {
    return Promise.resolve();
  }
}

function replica() {
  const clock = new VirtualClock();
  const table = new LeaseTable();
  const statements = new SqlServerStatements({
    pool: table,
    source: 'stock',
    schema: 'smartpulse',
    lockTimeoutMs: 5_000,
    createBookkeeping: false,
  });
  const leadership = new SqlServerLeadership({ statements, clock, random: new SeededRandom(), ttlMs: 30_000 });
  const take = async (resource: string): Promise<Lease> => {
    const lease = await leadership.acquire(resource);
    if (lease === undefined) {
      throw new Error(`${resource} was not granted`);
    }
    return lease;
  };
  return { clock, table, leadership, take };
}

describe('a replica that leaves SQL Server', () => {
  it('ends clean where the tables are not there, or the server is gone: what it held ends by itself', async () => {
    const { leadership, table, take } = replica();
    const lease = await take('a');
    table.failing = Object.assign(new Error("Invalid object name 'smartpulse.cdc_replica'."), {
      code: 'EREQUEST',
      number: 208,
      class: 16,
    });
    await expect(leadership.acquire('b')).rejects.toThrow(/npx smartpulse-cdc enable/);
    await leadership.leave();
    expect(lease.signal.aborted).toBe(true);

    table.failing = Object.assign(new Error('lost'), { code: 'ESOCKET' });
    await expect(leadership.acquire('b')).rejects.toThrow(/askForLease/);
    await leadership.leave();
  });

  it('says that it leaves though a lease could not be given back', async () => {
    const { leadership, table, take } = replica();
    await take('a');
    await take('b');
    table.failingOnce = 'releaseLease';
    await leadership.leave();
    expect(table.names.filter((name) => name === 'releaseLease')).toHaveLength(2);
    expect(table.names.filter((name) => name === 'leaveReplicas')).toHaveLength(1);
  });
});

describe('leases of one replica on SQL Server', () => {
  it('are renewed by one statement, whenever each was taken', async () => {
    const { clock, table, leadership, take } = replica();
    const leases: Lease[] = [];
    for (const resource of ['a', 'b', 'c', 'd', 'e']) {
      leases.push(await take(resource));
      await clock.advance(1_300);
    }
    await clock.advance(60_000);

    expect(table.renewals.length).toBeLessThanOrEqual(7);
    expect(table.renewals.every((resources) => resources.length === 5)).toBe(true);
    expect(leases.every(({ signal }) => !signal.aborted)).toBe(true);
    await leadership.leave();
    expect(clock.pendingTimers).toBe(0);
  });

  it('end alone when another replica has taken one of them', async () => {
    const { clock, table, leadership, take } = replica();
    const [first, second] = [await take('a'), await take('b')];
    table.taken.add('a');
    await clock.advance(25_000);

    expect([first.signal.aborted, second.signal.aborted]).toEqual([true, false]);
    await clock.advance(60_000);
    expect(second.signal.aborted).toBe(false);
    await leadership.leave();
  });

  it('live on from when the statement was sent, also for the one that joined it later', async () => {
    const { clock, table, leadership, take } = replica();
    await take('a');
    await clock.advance(5_000);
    const joined = await take('b');
    table.answering = async () => clock.sleep(9_000);
    await clock.advance(14_500);
    expect(table.renewals).toHaveLength(1);
    // Answered at 19 s, sent at 10 s; no later one succeeds.
    table.answering = () => Promise.reject(new Error('the server is gone'));
    await clock.advance(15_000);
    expect(joined.signal.aborted).toBe(false);
    await clock.advance(600);

    expect(joined.signal.aborted).toBe(true);
    await leadership.leave();
  });

  it('take turns where there are more than one statement can name', async () => {
    const { clock, table, leadership, take } = replica();
    const leases = await Promise.all(Array.from({ length: 1_201 }, (_, index) => take(`table-${index}`)));
    await clock.advance(95_000);

    expect(Math.max(...table.renewals.map(({ length }) => length))).toBe(500);
    expect(table.renewals.length).toBeLessThanOrEqual(9 * 3);
    expect(leases.every(({ signal }) => !signal.aborted)).toBe(true);
    await leadership.leave();
  });
});

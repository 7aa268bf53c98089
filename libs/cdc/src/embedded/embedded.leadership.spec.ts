import { Logger } from '@nestjs/common';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embeddedCdc } from './embedded-cdc.js';
import { EmbeddedDatabase } from './embedded.database.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

const TTL_MS = 30_000;

/** Time goes on while nothing runs, as when a process is stopped and continued: timers are late. */
class StallingClock extends VirtualClock {
  wallMs = 0;
  #stalledMs = 0;

  override now(): number {
    return super.now() + this.wallMs;
  }

  override monotonic(): number {
    return super.monotonic() + this.#stalledMs;
  }

  stall(ms: number): void {
    this.#stalledMs += ms;
  }
}

function start(options: { maxWaitingTurns?: number } = {}) {
  const clock = new StallingClock();
  const database = EmbeddedDatabase.open({ name: 'db', clock, ...options });
  const [first, second] = [embeddedCdc(database).leadership, embeddedCdc(database).leadership];
  return { clock, database, first, second };
}

describe('EmbeddedLeadership', () => {
  it('ends a lease before another replica has it, also when its own timers are late', async () => {
    const { clock, database, first, second } = start();
    const lease = await first.acquire('a');
    clock.stall(TTL_MS + 1);
    const taken = await second.acquire('a');

    expect(lease?.signal.aborted).toBe(true);
    expect(taken?.signal.aborted).toBe(false);
    expect(taken?.fence).toBe(lease && lease.fence + 1n);
    // A late release takes nothing from the new holder.
    await lease?.release();
    expect(await first.acquire('a')).toBeUndefined();
    await taken?.release();
    await database.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('does not care for the wall clock, which may jump', async () => {
    const { clock, database, first, second } = start();
    const lease = await first.acquire('a');
    for (const wallMs of [86_400_000, -86_400_000]) {
      clock.wallMs = wallMs;
      expect(await second.acquire('a')).toBeUndefined();
      await clock.advance(TTL_MS * 2);
      expect(lease?.signal.aborted).toBe(false);
    }
    await lease?.release();
    expect((await second.acquire('a'))?.fence).toBeGreaterThan(lease?.fence ?? 0n);
    await database.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('frees a lease that could not be renewed as soon as it is given back, without waiting for its end', async () => {
    const { clock, database, first, second } = start({ maxWaitingTurns: 1 });
    const lease = await first.acquire('a');
    const dataSource = await new DataSource(database.typeOrmOptions({ name: 'sql', entities: [] })).initialize();
    const runner = dataSource.createQueryRunner();
    await runner.startTransaction();
    const waiting = dataSource.query('SELECT 1');
    await clock.advance(TTL_MS / 3);
    expect(lease?.signal.aborted).toBe(true);
    await runner.release();
    await waiting;
    expect(await second.acquire('a')).toBeUndefined();

    await lease?.release();
    expect((await second.acquire('a'))?.fence).toBeGreaterThan(lease?.fence ?? 0n);
    await dataSource.destroy();
    await database.close();
    expect(clock.pendingTimers).toBe(0);
  });

  it('gives out fences above all that a file had given out before it was put back from a backup', async () => {
    const { clock, database, first } = start();
    const before = await first.acquire('a');
    await database.close();
    await clock.advance(1_000);
    // As good as the file of an hour ago: it knows of no lease at all.
    const restored = EmbeddedDatabase.open({ name: 'db', clock });
    const after = await embeddedCdc(restored).leadership.acquire('a');
    expect(after?.fence).toBeGreaterThan(before?.fence ?? 0n);
    await restored.close();
  });
});

import { Injectable, Logger, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { CdcModule, CdcRegistry, OnTableChange, PollSignal, type RowChange } from '@smartpulse/cdc';
import { embeddedCdc, EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { pollSignalContract } from '@smartpulse/cdc/testing';
import { ChannelPollSignal } from '@smartpulse/data-sync';
import { CacheChannel, defineTopic, RedisCacheModule } from '@smartpulse/redis-cache';
import { ResilienceModule, SystemClock } from '@smartpulse/resilience';
import { runContract } from '@smartpulse/resilience/testing';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { redisForTests } from '../../support/redis/redis-for-tests.js';
import { RedisServer } from '../../support/redis/redis-server.js';

const version = redisForTests();
const WAIT = { timeout: 15_000, interval: 10 };
const NEVER_MS = 3_600_000;
const QUIET = { log: () => {}, warn: () => {}, error: () => {} };
const marks = defineTopic<number>({ name: 'marks' });

describe.runIf(version !== undefined)(`nudges over Redis ${version}`, () => {
  let server: RedisServer;

  beforeAll(async () => {
    Logger.overrideLogger(false);
    server = await RedisServer.start();
  });
  afterAll(async () => {
    Logger.overrideLogger(true);
    await server?.stop();
  });

  async function start(
    imports: NonNullable<Parameters<typeof Test.createTestingModule>[0]['imports']> = [],
  ): Promise<TestingModule> {
    const app = await Test.createTestingModule({
      imports: [ResilienceModule.forRoot(), RedisCacheModule.forRoot({ url: server.url, prefix: 'shop' }), ...imports],
    })
      .setLogger(QUIET)
      .compile();
    return await app.init();
  }

  runContract(
    { describe, it },
    'PollSignal: channel on Redis, writer and tracker on two replicas',
    pollSignalContract(async () => {
      const apps = [await start(), await start()];
      const [writing, tracking] = apps.map((app) => app.get(CacheChannel));
      if (writing === undefined || tracking === undefined) {
        throw new Error('There are two apps.');
      }
      let marked = 0;
      let next = 0;
      await tracking.subscribe(marks, ({ payload }) => void (marked = payload));
      return {
        writer: new ChannelPollSignal(writing),
        tracker: new ChannelPollSignal(tracking),
        settle: async () => {
          await expect.poll(() => tracking.stats(), WAIT).toMatchObject({ subscriptions: 2, standing: 2 });
          await writing.publish(marks, 'k', ++next);
          await expect.poll(() => marked, WAIT).toBe(next);
        },
        close: async () => {
          await Promise.all(apps.map((app) => app.close()));
        },
      };
    }),
  );

  it('wake the tracker of another replica, which would not have polled for an hour', async () => {
    @Injectable()
    class Follower {
      readonly changes: RowChange[] = [];

      @OnTableChange('dbo.stock', { consumer: 'follower' })
      on(changes: readonly RowChange[]): void {
        this.changes.push(...changes);
      }
    }
    const database = EmbeddedDatabase.open({ name: 'stock', clock: new SystemClock() });
    const sql = new DataSource(database.typeOrmOptions({ name: 'writer', entities: [] }));
    await sql.initialize();
    await sql.query('CREATE TABLE stock (id INTEGER PRIMARY KEY, level INTEGER)');
    await database.enableTracking(['dbo.stock']);
    const cdc = CdcModule.forRootAsync({
      inject: [CacheChannel],
      // Each replica has a signal of its own: only Redis is between them.
      useFactory: (channel: CacheChannel) => ({
        ...embeddedCdc(database),
        pollSignal: new ChannelPollSignal(channel),
        tracker: { minIntervalMs: NEVER_MS, maxIntervalMs: NEVER_MS, heartbeatIntervalMs: NEVER_MS },
      }),
    });
    @Module({ providers: [Follower], exports: [Follower] })
    class FollowerModule {}
    const [tracking, writing] = [await start([cdc, FollowerModule]), await start([cdc])];
    try {
      const [tracker] = tracking.get(CdcRegistry).list();
      await expect.poll(() => tracker?.state.kind, WAIT).toBe('streaming');
      await expect.poll(() => tracking.get(CacheChannel).stats().standing, WAIT).toBe(1);
      await sql.query('INSERT INTO stock VALUES (1, 7)');
      writing.get(PollSignal).nudge(['dbo.stock']);
      await expect.poll(() => tracking.get(Follower).changes.length, WAIT).toBe(1);
    } finally {
      await Promise.all([tracking.close(), writing.close()]);
      await sql.destroy();
      await database.close();
    }
  });
});

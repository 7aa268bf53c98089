import { copyFile } from 'node:fs/promises';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Injectable, Logger, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { CdcModule, CdcRegistry, OnFeedEvent, OnTableChange, type RowChange } from '@smartpulse/cdc';
import { embeddedCdc, EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { checkpointStoreContract } from '@smartpulse/cdc/testing';
import { OutsideCopy, RecordCheckpointStore, withOutsideCopy } from '@smartpulse/data-sync';
import { openRecordStore, type RecordStore } from '@smartpulse/redis-cache';
import { ResilienceModule, SystemClock } from '@smartpulse/resilience';
import { runContract } from '@smartpulse/resilience/testing';
import { Redis } from 'ioredis';
import { DataSource } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { redisForTests } from '../../support/redis/redis-for-tests.js';
import { RedisServer } from '../../support/redis/redis-server.js';

const version = redisForTests();
const WAIT = { timeout: 20_000, interval: 20 };
const QUIET = { log: () => {}, warn: () => {}, error: () => {} };
const clock = new SystemClock();

@Injectable()
class Follower {
  readonly changes: RowChange[] = [];
  readonly events: string[] = [];

  @OnTableChange('dbo.stock', { consumer: 'follower', minIntervalMs: 10, maxIntervalMs: 50 })
  onChanges(changes: readonly RowChange[]): void {
    this.changes.push(...changes);
  }

  @OnFeedEvent('dbo.stock')
  onEvent({ kind }: { readonly kind: string }): void {
    this.events.push(kind);
  }
}

describe.runIf(version !== undefined)(`the outside copy on Redis ${version}`, () => {
  let server: RedisServer;
  let admin: Redis;

  beforeAll(async () => {
    Logger.overrideLogger(false);
    server = await RedisServer.start({ appendOnly: true, options: { appendfsync: 'always' } });
    admin = new Redis(server.url, { retryStrategy: () => 50 });
    admin.on('error', () => {});
  });
  afterAll(async () => {
    Logger.overrideLogger(true);
    admin.disconnect();
    await server?.stop();
  });

  const open = (): Promise<RecordStore> => openRecordStore({ url: server.url, prefix: 'shop' });

  runContract(
    { describe, it },
    'CheckpointStore: records on Redis',
    checkpointStoreContract(
      async () => {
        await admin.flushall();
        const opened = [await open()];
        const [records] = opened;
        return {
          store: new RecordCheckpointStore(records as RecordStore),
          reopen: async () => {
            const again = await open();
            opened.push(again);
            return new RecordCheckpointStore(again);
          },
          close: async () => {
            await Promise.all(opened.map((one) => one.close()));
          },
        };
      },
      { durable: true },
    ),
  );

  it('lets one of four processes’ connections decide the next epoch', async () => {
    await admin.flushall();
    const opened = await Promise.all(Array.from({ length: 4 }, open));
    const copies = opened.map((records) => new OutsideCopy(records, clock));
    const raised = await Promise.all([1, 2, 3].flatMap(() => copies.map((copy) => copy.raiseEpoch('db', 7n))));
    expect(new Set(raised).size).toBe(1);
    await Promise.all(opened.map((records) => records.close()));
  });

  describe('of an embedded database', () => {
    const folder = mkdtempSync(join(tmpdir(), 'smartpulse-outside-'));
    const file = join(folder, 'db.sqlite');
    const backup = join(folder, 'backup.sqlite');

    afterAll(() => rmSync(folder, { recursive: true }));

    /** One life of an app on the file: `work` runs when its tracker follows the table. */
    async function live(
      work: (life: {
        readonly database: EmbeddedDatabase;
        readonly follower: Follower;
        readonly write: (id: number) => Promise<unknown>;
        readonly caughtUp: () => Promise<void>;
      }) => Promise<void>,
      before: (write: (id: number) => Promise<unknown>) => Promise<void> = async () => {},
    ): Promise<void> {
      const records = await open();
      const outside = new OutsideCopy(records, clock);
      const database = EmbeddedDatabase.open({ name: 'db', file, clock, outsideEpoch: await outside.epochOf('db') });
      const sql = new DataSource(database.typeOrmOptions({ name: 'writer', entities: [] }));
      let app: TestingModule | undefined;
      try {
        await outside.noteEpoch('db', database.epoch);
        await sql.initialize();
        await sql.query('CREATE TABLE IF NOT EXISTS stock (id INTEGER PRIMARY KEY, level INTEGER)');
        await database.enableTracking(['dbo.stock']);
        const write = (id: number): Promise<unknown> => sql.query('INSERT INTO stock VALUES (?, ?)', [id, id * 10]);
        await before(write);
        @Module({
          imports: [ResilienceModule.forRoot(), CdcModule.forRoot(withOutsideCopy(embeddedCdc(database), outside))],
          providers: [Follower],
        })
        class AppModule {}
        app = await Test.createTestingModule({ imports: [AppModule] })
          .setLogger(QUIET)
          .compile();
        await app.init();
        const tracker = app.get(CdcRegistry).get('dbo.stock', 'follower');
        await work({
          database,
          follower: app.get(Follower),
          write,
          caughtUp: () =>
            expect
              .poll(() => tracker?.state.kind === 'streaming' && tracker.snapshot().version, WAIT)
              .toBe(database.currentVersion().version),
        });
      } finally {
        await app?.close();
        await sql.destroy();
        await database.close();
        await records.close();
      }
    }

    it('tells that its file was restored from an older copy, also after Redis was killed and the counter has grown again', async () => {
      await admin.flushall();
      let epoch = 0n;
      await live(async ({ database, write, caughtUp }) => {
        epoch = database.epoch;
        await write(1);
        await caughtUp();
      });
      await copyFile(file, backup);
      await live(async ({ database, follower, write, caughtUp }) => {
        await write(2);
        await caughtUp();
        expect(follower.changes.map(({ primaryKey }) => Number(primaryKey['id']))).toEqual([2]);
        expect(database.epoch).toBe(epoch);
      });
      await server.kill();
      await server.restart();
      await copyFile(backup, file);
      await live(
        async ({ database, follower, caughtUp }) => {
          await caughtUp();
          expect(database.epoch).toBeGreaterThan(epoch);
          expect(follower.events).toEqual(['started', 'resyncStarted', 'resyncCompleted']);
          expect(follower.changes.map(({ primaryKey }) => Number(primaryKey['id']))).toEqual([1, 3, 4]);
        },
        // As many versions as were lost, and one more, before anybody looks.
        async (write) => {
          await write(3);
          await write(4);
        },
      );
    });

    it('lets the table be followed while Redis is away, and catches up when it is back', async () => {
      await live(async ({ follower, write, caughtUp }) => {
        await caughtUp();
        await server.kill();
        await write(8);
        await caughtUp();
        expect(follower.changes.map(({ primaryKey }) => Number(primaryKey['id']))).toContain(8);
        await server.restart();
        await expect
          .poll(() => admin.get('{shop:position:follower:db:dbo.stock}:r').catch(String), WAIT)
          .not.toContain('Error');
        const before = await admin.get('{shop:position:follower:db:dbo.stock}:r');
        let id = 9;
        await expect
          .poll(async () => {
            await write(id++);
            await caughtUp();
            return admin.get('{shop:position:follower:db:dbo.stock}:r');
          }, WAIT)
          .not.toBe(before);
      });
    });
  });
});

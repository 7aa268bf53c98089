import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Injectable, Logger, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { ResilienceModule } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embeddedCdc } from './embedded/embedded-cdc.js';
import { EmbeddedDatabase } from './embedded/embedded.database.js';
import { CdcModule, CdcRegistry, OnTableChange, PollSignal, type RowChange } from './index.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));

@Entity('stock')
class Stock {
  @PrimaryColumn('integer')
  id!: number;

  @Column('integer')
  level!: number;
}

@Injectable()
class Follower {
  readonly changes: RowChange[] = [];

  @OnTableChange('dbo.stock', { consumer: 'follower', pageSize: 7, chunkSize: 5 })
  async on(changes: readonly RowChange[]): Promise<void> {
    this.changes.push(...changes);
  }
}

/** One process: opens the file, follows its table, lets `work` write, and ends when everything was followed. */
async function life(
  file: string,
  clock: VirtualClock,
  work: (writer: DataSource, caughtUp: () => Promise<void>) => Promise<void>,
): Promise<readonly RowChange[]> {
  const database = EmbeddedDatabase.open({ name: 'stock', file, clock });
  const writer = new DataSource(database.typeOrmOptions({ name: 'writer', entities: [Stock], synchronize: true }));
  await writer.initialize();
  await database.enableTracking(['dbo.stock']);
  const parts = embeddedCdc(database, writer);
  @Module({ imports: [ResilienceModule.forRoot({ clock }), CdcModule.forRoot(parts)], providers: [Follower] })
  class AppModule {}
  const app = await Test.createTestingModule({ imports: [AppModule] })
    .setLogger({ log: () => {}, warn: () => {}, error: () => {} })
    .compile();
  await app.init();
  const tracker = app.get(CdcRegistry).get('dbo.stock', 'follower');
  const caughtUp = async (): Promise<void> => {
    app.get(PollSignal).nudge(['dbo.stock']);
    const { version } = database.currentVersion();
    await clock.until(() => tracker?.state.kind === 'streaming' && tracker.snapshot().version === version);
  };
  try {
    await caughtUp();
    await work(writer, caughtUp);
    await caughtUp();
    return app.get(Follower).changes;
  } finally {
    await app.close();
    await writer.destroy();
    await database.close();
  }
}

describe('CdcModule on an embedded database', () => {
  it('follows transactions larger than a page, and goes on from its file in the next process', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'smartpulse-cdc-'));
    const file = join(folder, 'stock.sqlite');
    const clock = new VirtualClock();
    try {
      const first = await life(file, clock, async (writer, caughtUp) => {
        await writer.transaction((manager) =>
          manager.insert(
            Stock,
            Array.from({ length: 50 }, (_, id) => ({ id, level: id })),
          ),
        );
        await caughtUp();
        await writer.getRepository(Stock).delete({ id: 3 });
      });
      const second = await life(file, clock, async (writer) => {
        await writer.getRepository(Stock).update({ id: 4 }, { level: 44 });
      });

      const upserts = first.slice(0, 50);
      expect(upserts.map(({ primaryKey }) => Number(primaryKey['id'])).sort((a, b) => a - b)).toEqual(
        Array.from({ length: 50 }, (_, id) => id),
      );
      expect(first.slice(50)).toMatchObject([{ operation: 'delete', row: null }]);
      expect(new Set(upserts.map(({ version }) => version.version)).size).toBe(1);
      expect(second).toMatchObject([{ operation: 'upsert', row: { level: expect.anything() } }]);
      expect(clock.pendingTimers).toBe(0);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

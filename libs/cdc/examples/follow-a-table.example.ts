/** A table in an embedded database, and a handler that gets every committed change of it: `npm run example cdc`. */
import { Injectable, Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CdcModule, CdcRegistry, OnTableChange, PollSignal, type RowChange } from '@smartpulse/cdc';
import { embeddedCdc, EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { enableGracefulShutdown, ResilienceModule, SystemClock } from '@smartpulse/resilience';
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';

@Entity('stock')
class Stock {
  @PrimaryColumn('integer')
  id!: number;

  @Column('integer')
  level!: number;
}

@Injectable()
class StockAudit {
  readonly #logger = new Logger(StockAudit.name);

  @OnTableChange('dbo.stock', { consumer: 'audit' })
  onStock(changes: readonly RowChange[]): void {
    for (const { operation, primaryKey, row, version } of changes) {
      const level = row === null ? 'gone' : `level ${String(row['level'])}`;
      this.#logger.log(`version ${version.version}: ${operation} of ${String(primaryKey['id'])}, ${level}`);
    }
  }
}

const clock = new SystemClock();
const database = EmbeddedDatabase.open({ name: 'example', clock });
const writer = new DataSource(database.typeOrmOptions({ name: 'writer', entities: [Stock], synchronize: true }));
await writer.initialize();
await database.enableTracking(['dbo.stock']);
await writer.getRepository(Stock).insert({ id: 1, level: 7 }); // there before anybody looks: it comes as a snapshot

@Module({ imports: [ResilienceModule.forRoot(), CdcModule.forRoot(embeddedCdc(database))], providers: [StockAudit] })
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, { logger: ['log', 'warn', 'error'] });
enableGracefulShutdown(app, { signals: false });

/** A service writes, nudges and goes on; only an example waits until the tracker has caught up. */
async function told(): Promise<void> {
  app.get(PollSignal).nudge(['dbo.stock']);
  const tracker = app.get(CdcRegistry).get('dbo.stock', 'audit');
  while (tracker?.snapshot().version !== database.currentVersion().version) {
    await clock.sleep(20);
  }
}

await told();
await writer.transaction(async (manager) => {
  await manager.insert(Stock, { id: 2, level: 9 });
  await manager.update(Stock, { id: 1 }, { level: 5 });
}); // one transaction, one version, two changes
await told();
await writer.getRepository(Stock).delete({ id: 2 });
await told();

await app.close();
await writer.destroy();
await database.close();

// A table in an embedded database, and a handler that gets every committed change of it. Nothing to install.
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
  @OnTableChange('dbo.stock', { consumer: 'audit' })
  async onStock(changes: readonly RowChange[]): Promise<void> {
    for (const { operation, primaryKey, row, version } of changes) {
      const [id, level] = [primaryKey['id'], row?.['level']].map(String);
      Logger.log(`${operation} ${id}: level ${level}, version ${version.version}`, 'Audit');
    }
  }
}

const database = EmbeddedDatabase.open({ name: 'example', clock: new SystemClock() });
const writer = new DataSource(database.typeOrmOptions({ name: 'writer', entities: [Stock], synchronize: true }));
await writer.initialize();
await database.enableTracking(['dbo.stock']);

@Module({ imports: [ResilienceModule.forRoot(), CdcModule.forRoot(embeddedCdc(database))], providers: [StockAudit] })
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule);
enableGracefulShutdown(app, { signals: false });

await writer.transaction((manager) =>
  manager.save(
    Stock,
    [
      { id: 1, level: 7 },
      { id: 2, level: 9 },
    ].map((one) => manager.create(Stock, one)),
  ),
);
await writer.getRepository(Stock).delete({ id: 2 });
app.get(PollSignal).nudge(['dbo.stock']);

// Only an example waits like this; a service just goes on.
const tracker = app.get(CdcRegistry).get('dbo.stock', 'audit');
const { version } = database.currentVersion();
while (tracker?.snapshot().version !== version) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
await app.close();
await writer.destroy();
await database.close();

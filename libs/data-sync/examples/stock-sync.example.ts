/** A commit shows on two replicas of an app, and in a handler of another one. Run it: `npm run example data-sync`. */
import { Injectable } from '@nestjs/common';
import { defineChange, defineSync, type KeyChanges, OnChange } from '@smartpulse/data-sync';
import { DataSyncHarness } from '@smartpulse/data-sync/testing';
import { defineCache } from '@smartpulse/redis-cache';
import { z } from 'zod';

const Stock = z.object({ id: z.number(), level: z.number() });
type Stock = z.infer<typeof Stock>;

const stockChange = defineChange({
  name: 'stock',
  topic: 'stock-changes',
  primaryKey: ['id'],
  schema: Stock,
  version: 1,
});
const stockSync = defineSync(stockChange, {
  table: 'dbo.stock',
  cache: 'stock',
  shape: 'row',
  key: (pk) => `stock/${pk.id}`,
  value: (row) => row.level,
});
const stockCache = defineCache<number>({ name: 'stock', synced: true });

@Injectable()
class Notifier {
  @OnChange(stockChange, { subscription: 'notifier' })
  handle(changes: KeyChanges<Stock>): void {
    for (const { row } of changes.changes) {
      console.log(`notifier: ${changes.key} is ${row?.level ?? 'gone'}`);
    }
  }
}
// In an app these are DataSyncModule.forRoot({ app: 'stock' }) and forFeature([stockSync], { roles: ['publish', 'apply'] }).
const harness = new DataSyncHarness({ tables: [{ table: 'dbo.stock', primaryKey: ['id'], columns: ['id', 'level'] }] });
const common = { app: 'stock', syncs: [stockSync], caches: [stockCache] };
await harness.start({ app: 'notifications', providers: [Notifier] });
const first = await harness.start({ ...common, roles: ['publish', 'apply'] });
const second = await harness.start(common);

harness.source.commit((transaction) => transaction.upsert('dbo.stock', { id: 1, level: 5 }));
await first.service.quiet();
const load = () => second.reader.read<number, unknown>(() => Promise.resolve(5));
await second.cache<number>('stock').getOrLoad('stock/1', load);

harness.source.commit((transaction) => transaction.upsert('dbo.stock', { id: 1, level: 8 }));
await first.service.quiet();
const hit = await second.cache<number>('stock').get('stock/1');
console.log(`second replica: ${hit?.value} of version ${hit?.version.version}`);

await harness.close();

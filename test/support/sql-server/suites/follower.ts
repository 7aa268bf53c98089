import { Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { CdcModule, CdcRegistry, OnTableChange, type RowChange } from '@smartpulse/cdc';
import type { SqlServerCdcOptions } from '@smartpulse/cdc/sql-server';
import { STOCK_TABLE } from '@smartpulse/cdc/testing';
import { ResilienceModule } from '@smartpulse/resilience';
import { expect } from 'vitest';
import type { StockDatabase } from './stock-database.js';

const CONSUMER = 'follower';

/** Writes down every change of the table of stock, in pages that are small. */
@Injectable()
export class Follower {
  readonly changes: RowChange[] = [];

  @OnTableChange(STOCK_TABLE, { consumer: CONSUMER, pageSize: 7, chunkSize: 5, minIntervalMs: 10, maxIntervalMs: 20 })
  on(changes: readonly RowChange[]): void {
    this.changes.push(...changes);
  }
}

/**
 * One app on the database, until `work` is through; answers what it heard.
 *
 * @param options of its part of change capture: the login that it comes by, say.
 */
export async function follow(
  shop: StockDatabase,
  work: (follower: Follower, registry: CdcRegistry) => Promise<void>,
  options: Partial<SqlServerCdcOptions> = {},
): Promise<readonly RowChange[]> {
  @Module({
    imports: [ResilienceModule.forRoot(), CdcModule.forRoot(shop.replica(options))],
    providers: [Follower],
  })
  class AppModule {}
  const module = await Test.createTestingModule({ imports: [AppModule] })
    .setLogger({ log: () => {}, warn: () => {}, error: () => {} })
    .compile();
  await module.init();
  try {
    await work(module.get(Follower), module.get(CdcRegistry));
    return module.get(Follower).changes;
  } finally {
    await module.close();
  }
}

/** Resolves when the follower is where the database is. */
export async function caughtUp(shop: StockDatabase, registry: CdcRegistry): Promise<void> {
  const tracker = registry.get(STOCK_TABLE, CONSUMER);
  const [row] = await shop.app.query<{ version: string }[]>('SELECT CHANGE_TRACKING_CURRENT_VERSION() AS version');
  await expect
    .poll(() => (tracker?.state.kind === 'streaming' ? tracker.snapshot().version : -1n), {
      timeout: 20_000,
      interval: 5,
    })
    .toBeGreaterThanOrEqual(BigInt(row?.version ?? 0));
}

/** How often the follower had to read the table anew, by reason. */
export function resyncsOf(registry: CdcRegistry): Readonly<Record<string, number>> {
  return registry.get(STOCK_TABLE, CONSUMER)?.snapshot().counts.resyncs ?? {};
}

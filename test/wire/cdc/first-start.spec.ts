import { Injectable, type LoggerService, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { CdcModule, CdcRegistry, OnTableChange } from '@smartpulse/cdc';
import type { SqlServerCdcOptions } from '@smartpulse/cdc/sql-server';
import { STOCK_TABLE } from '@smartpulse/cdc/testing';
import { ResilienceModule, ShutdownCoordinator } from '@smartpulse/resilience';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StockServer } from './stock-server.js';

let shop: StockServer;

beforeEach(async () => {
  shop = await StockServer.start();
});
afterEach(() => shop.stop());

/** Hears nothing: it is the start that is looked at. */
@Injectable()
class Idle {
  @OnTableChange(STOCK_TABLE, { consumer: 'idle' })
  on(): void {}
}

/** One app from its start to its first failed attempt and to its end: what it logged, and what its stop reports. */
async function startedInVain(options: Partial<SqlServerCdcOptions>) {
  @Module({ imports: [ResilienceModule.forRoot(), CdcModule.forRoot(shop.replica(options))], providers: [Idle] })
  class AppModule {}
  const said: string[] = [];
  const keep = (message: unknown): void => void said.push(String(message));
  const logger: LoggerService = { log: () => {}, debug: () => {}, verbose: () => {}, warn: keep, error: keep };
  const module = await Test.createTestingModule({ imports: [AppModule] })
    .setLogger(logger)
    .compile();
  await module.init();
  const tracker = module.get(CdcRegistry).get(STOCK_TABLE, 'idle');
  await expect.poll(() => tracker?.state.kind, { timeout: 20_000, interval: 5 }).toBe('failing');
  const { failure } = tracker?.snapshot() ?? {};
  await module.close();
  return { said, failure, report: module.get(ShutdownCoordinator).report };
}

describe('an app that starts on a SQL Server that is not ready', () => {
  it('says at once that the tables of the bookkeeping are missing and how to make them, and ends clean', async () => {
    const { said, failure, report } = await startedInVain({ createBookkeeping: false });

    expect(said).toEqual([
      expect.stringMatching(/^Attempt 1 failed.*SqlServerBookkeepingError: .*npx smartpulse-cdc enable/),
    ]);
    expect(failure).toBe('configuration');
    expect(report.clean).toBe(true);
  });
});

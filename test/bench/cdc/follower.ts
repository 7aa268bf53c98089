import type { INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CdcModule, CdcRegistry, OnTableChange, type RowChange, type TrackerTuning } from '@smartpulse/cdc';
import { MssqlPool, sqlServerCdc } from '@smartpulse/cdc/sql-server';
import { ResilienceModule } from '@smartpulse/resilience';
import { TimedPool } from './timed.pool.ts';

/** Handles changes, as an application's method would. */
export type Handler = (changes: readonly RowChange[]) => void;

/** Connections to the bench's server. */
export function poolOn(port: number): MssqlPool {
  const target = { server: '127.0.0.1', port, database: 'shop', user: 'sa', password: 'any', encrypt: false };
  const limits = { size: 6, connectTimeoutMs: 15_000, requestTimeoutMs: 60_000, applicationName: 'bench' };
  return new MssqlPool({ target, ...limits });
}

/** An app that follows tables of the bench's server. */
export class Follower {
  readonly pool: TimedPool;
  readonly registry: CdcRegistry;
  readonly #app: INestApplicationContext;

  private constructor(pool: TimedPool, app: INestApplicationContext) {
    this.pool = pool;
    this.#app = app;
    this.registry = app.get(CdcRegistry);
  }

  /** Resolves when every table is followed and was read once. */
  static async start(
    port: number,
    consumer: string,
    tables: readonly string[],
    tuning: TrackerTuning,
    handle: Handler,
  ): Promise<Follower> {
    const pool = new TimedPool(poolOn(port));
    class Handlers {}
    const handlers = new Handlers();
    for (const table of tables) {
      // What the decorator says stands on the method, so each table needs one of its own.
      const on = { value: (changes: readonly RowChange[]): void => handle(changes) };
      Object.defineProperty(Handlers.prototype, table, { ...on, enumerable: true });
      OnTableChange(table, { consumer, ...tuning })(Handlers.prototype, table, on);
    }
    class AppModule {}
    const app = await NestFactory.createApplicationContext(
      {
        module: AppModule,
        imports: [
          ResilienceModule.forRoot(),
          CdcModule.forRoot(sqlServerCdc({ name: 'shop', pool, createBookkeeping: true })),
        ],
        providers: [{ provide: Handlers, useValue: handlers }],
      },
      { logger: ['error', 'warn'] },
    );
    const follower = new Follower(pool, app);
    await follower.until(() => follower.registry.list().every(({ state }) => state.kind === 'streaming'));
    return follower;
  }

  /** Looks every few milliseconds. */
  async until(condition: () => boolean, timeoutMs = 60_000): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    while (!condition()) {
      if (performance.now() > deadlineMs) {
        const states = this.registry.list().map((tracker) => `${tracker.table}: ${tracker.state.kind}`);
        throw new Error(`It did not come to that within ${timeoutMs} ms: ${states.slice(0, 5).join(', ')}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Resolves when all trackers are at `version`. */
  reached(version: string, timeoutMs?: number): Promise<void> {
    return this.until(
      () => this.registry.list().every((tracker) => (tracker.snapshot().version ?? -1n) >= BigInt(version)),
      timeoutMs,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#app.close();
    await this.pool.close();
  }
}

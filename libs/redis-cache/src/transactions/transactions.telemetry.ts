import { type BatchObservableCallback, metrics } from '@opentelemetry/api';
import { CACHE_INSTRUMENTS } from '../redis-cache.telemetry.js';
import type { RedisTransactions } from './redis.transactions.js';
import { TRANSACTION_ENDS } from './transaction-stats.js';

/** Transactions with what metrics name their connection by. */
export type ObservedTransactions = readonly [{ readonly connection?: string }, Pick<RedisTransactions, 'stats'>];

/** Shows the counters of an app's transactions to OpenTelemetry. Instruments are made at {@link start}: metrics have no proxy provider. */
export class TransactionsTelemetry {
  #stop: (() => void) | undefined;

  constructor(private readonly list: () => readonly ObservedTransactions[]) {}

  start(): void {
    const meter = metrics.getMeter('@smartpulse/redis-cache');
    const runs = meter.createObservableCounter(CACHE_INSTRUMENTS.transactions);
    const conflicts = meter.createObservableCounter(CACHE_INSTRUMENTS.transactionConflicts);
    const observe: BatchObservableCallback = (result) => {
      for (const [attributes, transactions] of this.list()) {
        const stats = transactions.stats();
        for (const outcome of TRANSACTION_ENDS) {
          result.observe(runs, stats[outcome], { ...attributes, outcome });
        }
        result.observe(conflicts, stats.conflicts, attributes);
      }
    };
    meter.addBatchObservableCallback(observe, [runs, conflicts]);
    this.#stop = () => meter.removeBatchObservableCallback(observe, [runs, conflicts]);
  }

  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}

import type { OnModuleInit } from '@nestjs/common';
import { type BatchObservableCallback, type BatchObservableResult, metrics, type Observable } from '@opentelemetry/api';
import type { ShutdownCoordinator } from '@smartpulse/resilience';
import type { SyncActivity } from './supervise/sync.activity.js';

/** Every instrument of this package; `sync` or `subscription` or `table` tells them apart, never a key. */
export const DATA_SYNC_INSTRUMENTS = Object.freeze({
  /** Envelopes that the broker stored, by `sync`. */
  published: 'data_sync_published_envelopes_total',
  /** Changes that could not be keyed or projected, by `sync`. */
  poison: 'data_sync_poison_total',
  /** Cache operations, by `sync` and `outcome`: `applied`, `stale`, `duplicate`, `absent`, `deferred`, `outdated`. */
  applied: 'data_sync_apply_total',
  /** Stamps that their source has not reached, by `sync`: alert on any. */
  untrusted: 'data_sync_untrusted_total',
  /** Commit to cache in milliseconds, by `sync` and `percentile`: `50`, `99`. */
  lag: 'data_sync_lag_ms',
  /** Handler calls that returned, by `subscription`. */
  handled: 'data_sync_handled_total',
  /** Changes left out because a newer one was handled, by `subscription`. */
  removed: 'data_sync_removed_total',
  /** Events relayed from outboxes, by `table`. */
  relayed: 'data_sync_outbox_relayed_total',
});

type InstrumentName = keyof typeof DATA_SYNC_INSTRUMENTS;

/** Reads the plain counters when a metrics reader asks; made at module init, gone at shutdown. */
export class DataSyncTelemetry implements OnModuleInit {
  readonly #activity: SyncActivity;
  readonly #shutdown: ShutdownCoordinator;

  constructor(activity: SyncActivity, shutdown: ShutdownCoordinator) {
    this.#activity = activity;
    this.#shutdown = shutdown;
  }

  onModuleInit(): void {
    const meter = metrics.getMeter('@smartpulse/data-sync');
    const counter = (name: InstrumentName): Observable => meter.createObservableCounter(DATA_SYNC_INSTRUMENTS[name]);
    const instruments: Readonly<Record<InstrumentName, Observable>> = {
      published: counter('published'),
      poison: counter('poison'),
      applied: counter('applied'),
      untrusted: counter('untrusted'),
      lag: meter.createObservableGauge(DATA_SYNC_INSTRUMENTS.lag, { unit: 'ms' }),
      handled: counter('handled'),
      removed: counter('removed'),
      relayed: counter('relayed'),
    };
    const callback: BatchObservableCallback = (result) => this.#observe(result, instruments);
    const observables = Object.values(instruments);
    meter.addBatchObservableCallback(callback, observables);
    this.#shutdown.register({
      name: 'data-sync telemetry',
      phase: 'clients',
      stop: () => meter.removeBatchObservableCallback(callback, observables),
    });
  }

  #observe(result: BatchObservableResult, to: Readonly<Record<InstrumentName, Observable>>): void {
    const { syncs, handlers, outboxes } = this.#activity.stats();
    for (const { name: sync, publish, apply, lag } of syncs) {
      if (publish !== undefined) {
        result.observe(to.published, publish.publishedEnvelopes, { sync });
        result.observe(to.poison, publish.poison, { sync });
      }
      if (apply !== undefined) {
        const { applied, stale, duplicates: duplicate, absent, deferred, outdated } = apply;
        for (const [outcome, count] of Object.entries({ applied, stale, duplicate, absent, deferred, outdated })) {
          result.observe(to.applied, count, { sync, outcome });
        }
        result.observe(to.untrusted, apply.untrusted, { sync });
      }
      for (const [percentile, lagMs] of Object.entries({ 50: lag?.p50Ms ?? null, 99: lag?.p99Ms ?? null })) {
        if (lagMs !== null) {
          result.observe(to.lag, lagMs, { sync, percentile });
        }
      }
    }
    for (const { subscription, handled, removed } of handlers) {
      result.observe(to.handled, handled, { subscription });
      result.observe(to.removed, removed, { subscription });
    }
    for (const { table, relayed } of outboxes) {
      result.observe(to.relayed, relayed, { table });
    }
  }
}

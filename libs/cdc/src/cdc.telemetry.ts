import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import {
  type BatchObservableCallback,
  type BatchObservableResult,
  type Histogram,
  metrics,
  type Observable,
} from '@opentelemetry/api';
import { ShutdownCoordinator } from '@smartpulse/resilience';
import { CdcRegistry } from './registry/cdc.registry.js';

/** Every instrument of this package; all carry `consumer` and `table`. */
export const CDC_INSTRUMENTS = Object.freeze({
  /** Commits of the database that are not handed off yet. */
  versionsBehind: 'cdc_versions_behind',
  /** Seconds since the position was the database's version, whoever had it then; 0 when it is. */
  secondsBehind: 'cdc_seconds_behind',
  /** Rows handed off, by `kind`: `change` or `snapshot`. */
  rows: 'cdc_page_rows',
  /** Rows handed off of a version that a page cut in two. */
  tieDepth: 'cdc_tie_depth',
  /** Milliseconds per poll, by `phase`: `scan` or `page`. */
  pollMs: 'cdc_poll_ms',
  /** Failed attempts, by `error`, by what it calls for (`class`) and by the server's `number`. */
  errors: 'cdc_errors',
  /** Resyncs begun, by reason. */
  resyncs: 'cdc_resync_total',
  /** 1 where this replica holds the table's lease. */
  lease: 'cdc_lease',
  /** Share of the database's retention since the tracker was up to date; at 1 the table is read anew. */
  retentionUsed: 'cdc_retention_used_ratio',
  /** Changes that the sink can never accept. */
  poison: 'cdc_poison_total',
});

/** The package's instruments: made when the module starts, read from the trackers' sums when a reader asks, gone at shutdown. */
@Injectable()
export class CdcTelemetry implements OnModuleInit {
  constructor(
    @Inject(CdcRegistry) private readonly registry: CdcRegistry,
    @Inject(ShutdownCoordinator) private readonly shutdown: ShutdownCoordinator,
  ) {}

  onModuleInit(): void {
    const meter = metrics.getMeter('@smartpulse/cdc');
    const { versionsBehind, secondsBehind, rows, tieDepth, errors, resyncs, lease, poison, retentionUsed } =
      CDC_INSTRUMENTS;
    const gauges = {
      versionsBehind: meter.createObservableGauge(versionsBehind, { unit: '{version}' }),
      secondsBehind: meter.createObservableGauge(secondsBehind, { unit: 's' }),
      tieDepth: meter.createObservableGauge(tieDepth, { unit: '{row}' }),
      lease: meter.createObservableGauge(lease),
      retentionUsed: meter.createObservableGauge(retentionUsed, { unit: '1' }),
      rows: meter.createObservableCounter(rows, { unit: '{row}' }),
      errors: meter.createObservableCounter(errors, { unit: '{error}' }),
      resyncs: meter.createObservableCounter(resyncs, { unit: '{resync}' }),
      poison: meter.createObservableCounter(poison, { unit: '{change}' }),
    };
    const callback: BatchObservableCallback = (result) => this.#observe(result, gauges);
    const observables = Object.values(gauges);
    meter.addBatchObservableCallback(callback, observables);
    const polls = meter.createHistogram(CDC_INSTRUMENTS.pollMs, { unit: 'ms' });
    const forget = this.#timePolls(polls);
    this.shutdown.register({
      name: 'cdc telemetry',
      phase: 'clients',
      stop: () => {
        meter.removeBatchObservableCallback(callback, observables);
        forget();
      },
    });
  }

  #timePolls(polls: Histogram): () => void {
    return this.registry.onTracker((tracker) => {
      const { consumer, table } = tracker;
      tracker.observePolls(({ phase, durationMs }) => polls.record(durationMs, { consumer, table, phase }));
    });
  }

  #observe(result: BatchObservableResult, to: Readonly<Record<GaugeName, Observable>>): void {
    for (const tracker of this.registry.list()) {
      const { consumer, table, behind, caughtUpAgoMs, leading, tieDepth, counts, retentionUsed } = tracker.snapshot();
      const of = { consumer, table };
      result.observe(to.lease, leading ? 1 : 0, of);
      result.observe(to.tieDepth, tieDepth, of);
      if (leading && behind !== null) {
        // A gauge needs a number; commits behind never come near 2^53.
        result.observe(to.versionsBehind, Number(behind), of);
        if (behind === 0n || caughtUpAgoMs !== null) {
          result.observe(to.secondsBehind, behind === 0n ? 0 : (caughtUpAgoMs ?? 0) / 1_000, of);
        }
      }
      if (leading && retentionUsed !== null) {
        result.observe(to.retentionUsed, retentionUsed, of);
      }
      result.observe(to.rows, counts.changes, { ...of, kind: 'change' });
      result.observe(to.rows, counts.snapshotRows, { ...of, kind: 'snapshot' });
      result.observe(to.poison, counts.poison, of);
      for (const [reason, count] of Object.entries(counts.resyncs)) {
        result.observe(to.resyncs, count, { ...of, reason });
      }
      for (const { error, class: errorClass, number, count } of tracker.errors) {
        const what = { error, class: errorClass, ...(number === null ? {} : { number }) };
        result.observe(to.errors, count, { ...of, ...what });
      }
    }
  }
}

type GaugeName =
  | 'retentionUsed'
  | 'versionsBehind'
  | 'secondsBehind'
  | 'tieDepth'
  | 'lease'
  | 'rows'
  | 'errors'
  | 'resyncs'
  | 'poison';

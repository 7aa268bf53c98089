import { type BatchObservableCallback, metrics, type Observable, type ObservableResult } from '@opentelemetry/api';
import type { CacheStats, FlushReason } from './cache/cache.stats.js';
import type { CacheRegistry } from './registry/cache.registry.js';

/**
 * The instruments of this package. Attributes: `namespace`, `connection` where it is a named one, and what the text says; never a key.
 */
export const CACHE_INSTRUMENTS = Object.freeze({
  /** Answers; `level` l1, l2 or source, `result` hit or miss. */
  requests: 'cache.requests',
  /** Answers that say "no such thing"; also counted in {@link requests}. */
  negatives: 'cache.negatives',
  /** Answers flagged stale; also counted in {@link requests}. */
  stale: 'cache.stale',
  /** Loads that failed and were answered with the last known value; also counted in {@link stale}. */
  failSafes: 'cache.failsafe.activations',
  /** Values loaded anew before their life ended. */
  earlyRefreshes: 'cache.early_refreshes',
  /** Tags that this process invalidated. */
  tagsInvalidated: 'cache.tags.invalidated',
  /** Duration of loaders, seconds. */
  loadDuration: 'cache.load.duration',
  /** Sets; `result` applied, of others than loaders declined, of loaders refused or unstored. */
  cas: 'cache.cas',
  /** Leases; `result` acquired, waited, lost, or expired: of another replica, which this one has waited for. */
  lease: 'cache.lease',
  /** Changes and messages; `direction` out or in, `action` what they are. */
  invalidations: 'cache.invalidations',
  /** Calls that the store failed. */
  storeFailures: 'cache.store.failures',
  /** Size of each payload that the store took, bytes. */
  payloadSize: 'cache.payload.size',
  /** From leaving this process to coming back to it, of its signs of life on the backplane, seconds. No `namespace`. Redis only. */
  backplaneLag: 'cache.backplane.lag',
  /** Times that messages may have been lost. */
  gaps: 'cache.backplane.gaps',
  /** Entries in the first level. */
  l1Entries: 'cache.l1.entries',
  /** Bytes of keys and encoded values in the first level, roughly. */
  l1Bytes: 'cache.l1.bytes',
  /** Entries that left the first level because it was full. */
  l1Evictions: 'cache.l1.evictions',
  /** Drops of the whole first level; `reason` start, distrust (messages may have been lost), sweep or close. */
  l1Flushes: 'cache.l1.flushes',
  /** Messages of the channel; `outcome` published, publishFailures, received, handled, failed or dropped. No `namespace`. */
  channelMessages: 'cache.channel.messages',
  /** Gaps that followers were told of. No `namespace`. */
  channelGaps: 'cache.channel.gaps',
  /** Runs of transactions; `outcome` committed, abandoned, conflicted, unavailable, ambiguous, rejected or failed. No `namespace`. */
  transactions: 'cache.transactions',
  /** Attempts of transactions that met a change of a watched key. No `namespace`. */
  transactionConflicts: 'cache.transactions.conflicts',
});

type CounterName = Exclude<
  keyof typeof CACHE_INSTRUMENTS,
  | 'loadDuration'
  | 'payloadSize'
  | 'backplaneLag'
  | 'l1Entries'
  | 'l1Bytes'
  | 'channelMessages'
  | 'channelGaps'
  | 'transactions'
  | 'transactionConflicts'
>;
type Reading = readonly [CounterName, Readonly<Record<string, string>>, number];

/** Shows the counters of the caches to OpenTelemetry. Instruments are made at {@link start}: metrics have no proxy provider. */
export class CacheTelemetry {
  #stop: (() => void) | undefined;

  constructor(private readonly registry: CacheRegistry) {}

  start(): void {
    const meter = metrics.getMeter('@smartpulse/redis-cache');
    const counter = (name: CounterName): [CounterName, Observable] => [
      name,
      meter.createObservableCounter(CACHE_INSTRUMENTS[name]),
    ];
    const counters = new Map<CounterName, Observable>(
      (
        [
          'requests',
          'negatives',
          'stale',
          'failSafes',
          'earlyRefreshes',
          'tagsInvalidated',
          'cas',
          'lease',
          'invalidations',
          'storeFailures',
          'l1Flushes',
          'l1Evictions',
          'gaps',
        ] as const
      ).map(counter),
    );
    const entries = meter.createObservableGauge(CACHE_INSTRUMENTS.l1Entries);
    const bytes = meter.createObservableGauge(CACHE_INSTRUMENTS.l1Bytes, { unit: 'By' });
    const duration = meter.createHistogram(CACHE_INSTRUMENTS.loadDuration, { unit: 's' });
    const payload = meter.createHistogram(CACHE_INSTRUMENTS.payloadSize, { unit: 'By' });
    const lag = meter.createHistogram(CACHE_INSTRUMENTS.backplaneLag, { unit: 's' });
    const observe: BatchObservableCallback = (result) => {
      for (const [attributes, cache] of this.registry.attributed()) {
        const stats = cache.stats();
        for (const [name, more, value] of readings(stats)) {
          const instrument = counters.get(name);
          if (instrument !== undefined) {
            result.observe(instrument, value, { ...attributes, ...more });
          }
        }
      }
    };
    const observing =
      (size: 'l1Entries' | 'l1Bytes') =>
      (result: ObservableResult): void => {
        for (const [attributes, cache] of this.registry.attributed()) {
          result.observe(cache.stats()[size], { ...attributes });
        }
      };
    const [observeEntries, observeBytes] = [observing('l1Entries'), observing('l1Bytes')];
    const instruments = [...counters.values()];
    meter.addBatchObservableCallback(observe, instruments);
    entries.addCallback(observeEntries);
    bytes.addCallback(observeBytes);
    const forget = this.registry.observe({
      loaded: (cache, durationMs) => duration.record(durationMs / 1_000, { ...cache }),
      stored: (cache, stored) => payload.record(stored, { ...cache }),
      lagged: ({ attributes }, lagMs) => lag.record(lagMs / 1_000, attributes),
    });
    this.#stop = () => {
      meter.removeBatchObservableCallback(observe, instruments);
      entries.removeCallback(observeEntries);
      bytes.removeCallback(observeBytes);
      forget();
    };
  }

  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}

const FLUSH_REASONS = ['start', 'distrust', 'sweep', 'close'] as const satisfies readonly FlushReason[];

function readings(stats: CacheStats): readonly Reading[] {
  return [
    ['requests', { level: 'l1', result: 'hit' }, stats.l1Hits],
    ['requests', { level: 'l2', result: 'hit' }, stats.l2Hits],
    ['requests', { level: 'source', result: 'hit' }, stats.loaded],
    ['requests', { level: 'l2', result: 'miss' }, stats.misses],
    ['negatives', {}, stats.negativeHits],
    ['stale', {}, stats.staleAnswers],
    ['failSafes', {}, stats.failSafes],
    ['earlyRefreshes', {}, stats.earlyRefreshes],
    ['tagsInvalidated', {}, stats.tagsInvalidated],
    ['cas', { result: 'applied' }, stats.applied],
    ['cas', { result: 'declined' }, stats.declined],
    ['cas', { result: 'refused' }, stats.refused],
    ['cas', { result: 'unstored' }, stats.unstored],
    ['lease', { result: 'acquired' }, stats.leasesAcquired],
    ['lease', { result: 'waited' }, stats.leasesWaited],
    ['lease', { result: 'lost' }, stats.leasesLost],
    ['lease', { result: 'expired' }, stats.leasesExpired],
    ...byAction('out', stats.sentByAction),
    ...byAction('in', stats.receivedByAction),
    ['storeFailures', {}, stats.storeFailures],
    ...FLUSH_REASONS.map((reason): Reading => ['l1Flushes', { reason }, stats.l1FlushReasons[reason]]),
    ['l1Evictions', {}, stats.l1Evictions],
    ['gaps', {}, stats.gaps],
  ];
}

function byAction(direction: 'in' | 'out', counts: Readonly<Record<string, number>>): readonly Reading[] {
  return Object.entries(counts).map(([action, count]) => ['invalidations', { direction, action }, count]);
}

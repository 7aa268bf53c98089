import {
  type BatchObservableCallback,
  createNoopMeter,
  metrics,
  type Observable,
  type ObservableCallback,
} from '@opentelemetry/api';
import { Test } from '@nestjs/testing';
import { ResilienceModule } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import {
  CACHE_INSTRUMENTS,
  CacheChannel,
  CacheRegistry,
  defineCache,
  defineTopic,
  EntryVersion,
  RedisCacheModule,
} from './index.js';
import { startCounting } from './transactions/transaction-stats.js';
import { TransactionsTelemetry } from './transactions/transactions.telemetry.js';

const prices = defineCache<string>({ name: 'prices', synced: true });
const version = new EntryVersion(1n, 1n);

afterEach(() => metrics.disable());

/** A meter that keeps what is registered with it. */
function recordingMeter() {
  const batch = new Set<BatchObservableCallback>();
  const single = new Set<ObservableCallback>();
  const names = new Map<Observable, string>();
  const records: unknown[][] = [];
  const observable = (name: string): Observable => {
    const made: Observable = {
      addCallback: (callback) => void single.add(callback),
      removeCallback: (callback) => void single.delete(callback),
    };
    names.set(made, name);
    return made;
  };
  const meter = Object.assign(createNoopMeter(), {
    createHistogram: (name: string) => ({ record: (...recorded: unknown[]) => void records.push([name, ...recorded]) }),
    createObservableGauge: observable,
    createObservableCounter: observable,
    addBatchObservableCallback: (callback: BatchObservableCallback) => void batch.add(callback),
    removeBatchObservableCallback: (callback: BatchObservableCallback) => void batch.delete(callback),
  });
  metrics.setGlobalMeterProvider({ getMeter: () => meter });
  const read = async (): Promise<Record<string, number>> => {
    const seen: Record<string, number> = {};
    for (const callback of batch) {
      await callback({
        observe: (metric, value, attributes) => {
          seen[[names.get(metric), ...Object.values(attributes ?? {})].join(' ')] = value;
        },
      });
    }
    return seen;
  };
  return { read, records, callbacks: () => batch.size + single.size };
}

describe('CacheTelemetry', () => {
  it('counts what caches do, never downwards, and nothing after the app has closed', async () => {
    const meter = recordingMeter();
    const module = await Test.createTestingModule({
      imports: [
        ResilienceModule.forRoot({ clock: new VirtualClock() }),
        RedisCacheModule.forRoot({ url: 'memory://' }),
        RedisCacheModule.forFeature([prices]),
      ],
    })
      .setLogger({ log: () => {}, warn: () => {}, error: () => {} })
      .compile();
    await module.init();
    const cache = module.get(CacheRegistry).get<string>('prices');
    await cache.getOrLoad('a', async () => ({ value: 'x', version }));
    await cache.get('a');
    let fail: (error: Error) => void = () => {};
    const failing = cache.getOrLoad('b', () => new Promise((_, reject) => (fail = reject)));
    const failed = expect(failing).rejects.toThrow('no database');
    await new Promise((resolve) => setImmediate(resolve));
    const topic = defineTopic<number>({ name: 'signals' });
    await module.get(CacheChannel).subscribe(topic, () => {});
    await module.get(CacheChannel).publish(topic, 'k', 1);
    await new Promise((resolve) => setImmediate(resolve));
    await cache.set('a', 'y', new EntryVersion(1n, 2n));
    await cache.set('a', 'z', version);
    await cache.sweep(version);
    await cache.evict('a');
    await cache.invalidate('a', version);
    await new Promise((resolve) => setImmediate(resolve));
    const during = await meter.read();
    fail(new Error('no database'));
    await failed;
    const after = await meter.read();
    expect(after).toMatchObject({
      [`${CACHE_INSTRUMENTS.requests} prices source hit`]: 1,
      [`${CACHE_INSTRUMENTS.requests} prices l1 hit`]: 1,
      [`${CACHE_INSTRUMENTS.lease} prices acquired`]: 2,
      [`${CACHE_INSTRUMENTS.lease} prices lost`]: 0,
      [`${CACHE_INSTRUMENTS.lease} prices expired`]: 0,
      [`${CACHE_INSTRUMENTS.invalidations} prices out sweep`]: 1,
      [`${CACHE_INSTRUMENTS.invalidations} prices out evict`]: 1,
      [`${CACHE_INSTRUMENTS.invalidations} prices out invalidate`]: 1,
      [`${CACHE_INSTRUMENTS.invalidations} prices out refresh`]: 0,
      [`${CACHE_INSTRUMENTS.invalidations} prices out fields`]: 0,
      [`${CACHE_INSTRUMENTS.invalidations} prices out tag`]: 0,
      // Everybody hears what everybody tells, also what it told itself.
      [`${CACHE_INSTRUMENTS.invalidations} prices in set`]: 2,
      [`${CACHE_INSTRUMENTS.invalidations} prices in flush`]: 1,
      [`${CACHE_INSTRUMENTS.invalidations} prices in evict`]: 1,
      [`${CACHE_INSTRUMENTS.invalidations} prices in invalidate`]: 1,
      [`${CACHE_INSTRUMENTS.invalidations} prices in refresh`]: 0,
      [`${CACHE_INSTRUMENTS.invalidations} prices in tag`]: 0,
      [`${CACHE_INSTRUMENTS.cas} prices applied`]: 2,
      [`${CACHE_INSTRUMENTS.cas} prices declined`]: 1,
      [`${CACHE_INSTRUMENTS.earlyRefreshes} prices`]: 0,
      [`${CACHE_INSTRUMENTS.tagsInvalidated} prices`]: 0,
      [`${CACHE_INSTRUMENTS.gaps} prices`]: 0,
      [`${CACHE_INSTRUMENTS.l1Evictions} prices`]: 0,
      [`${CACHE_INSTRUMENTS.l1Flushes} prices start`]: 1,
      // By the sweep itself, and by its message.
      [`${CACHE_INSTRUMENTS.l1Flushes} prices sweep`]: 2,
      [`${CACHE_INSTRUMENTS.l1Flushes} prices distrust`]: 0,
      [`${CACHE_INSTRUMENTS.channelMessages} published`]: 1,
      [`${CACHE_INSTRUMENTS.channelMessages} handled`]: 1,
      [CACHE_INSTRUMENTS.channelGaps]: 0,
    });
    for (const [name, value] of Object.entries(during)) {
      expect(after[name], name).toBeGreaterThanOrEqual(value);
    }
    expect(meter.records.filter(([name]) => name === CACHE_INSTRUMENTS.loadDuration)).toHaveLength(2);
    expect(meter.records.filter(([name]) => name === CACHE_INSTRUMENTS.payloadSize)).toEqual([
      [CACHE_INSTRUMENTS.payloadSize, 3, { namespace: 'prices' }],
      [CACHE_INSTRUMENTS.payloadSize, 3, { namespace: 'prices' }],
    ]);
    expect(meter.callbacks()).toBeGreaterThanOrEqual(2);
    await module.close();
    expect(meter.callbacks()).toBe(0);
  });

  it('names the connection where it is not the default one', async () => {
    const meter = recordingMeter();
    const sales = defineCache<string>({ name: 'sales', synced: true });
    const module = await Test.createTestingModule({
      imports: [
        ResilienceModule.forRoot({ clock: new VirtualClock() }),
        RedisCacheModule.forRoot({ url: 'memory://', connections: { reports: { url: 'memory://' } } }),
        RedisCacheModule.forFeature([prices]),
        RedisCacheModule.forFeature([sales], { connection: 'reports' }),
      ],
    })
      .setLogger({ log: () => {}, warn: () => {}, error: () => {} })
      .compile();
    await module.init();
    await module
      .get(CacheRegistry)
      .get<string>('sales')
      .getOrLoad('a', async () => ({ value: 'x', version }));
    expect(await meter.read()).toMatchObject({
      [`${CACHE_INSTRUMENTS.requests} prices source hit`]: 0,
      [`${CACHE_INSTRUMENTS.requests} sales reports source hit`]: 1,
      [`${CACHE_INSTRUMENTS.channelMessages} published`]: 0,
      [`${CACHE_INSTRUMENTS.channelMessages} reports published`]: 0,
      [`${CACHE_INSTRUMENTS.channelGaps} reports`]: 0,
    });
    expect(meter.records.find(([name]) => name === CACHE_INSTRUMENTS.payloadSize)).toEqual([
      CACHE_INSTRUMENTS.payloadSize,
      3,
      { namespace: 'sales', connection: 'reports' },
    ]);
    await module.close();
    expect(meter.callbacks()).toBe(0);
  });

  it('counts runs of transactions by their end, by connection', async () => {
    const meter = recordingMeter();
    const stats = { ...startCounting(), committed: 3, ambiguous: 1, conflicts: 7 };
    const telemetry = new TransactionsTelemetry(() => [
      [{}, { stats: () => stats }],
      [{ connection: 'reports' }, { stats: startCounting }],
    ]);
    telemetry.start();
    expect(await meter.read()).toMatchObject({
      [`${CACHE_INSTRUMENTS.transactions} committed`]: 3,
      [`${CACHE_INSTRUMENTS.transactions} ambiguous`]: 1,
      [`${CACHE_INSTRUMENTS.transactions} reports committed`]: 0,
      [CACHE_INSTRUMENTS.transactionConflicts]: 7,
      [`${CACHE_INSTRUMENTS.transactionConflicts} reports`]: 0,
    });
    telemetry.stop();
    expect(meter.callbacks()).toBe(0);
  });
});

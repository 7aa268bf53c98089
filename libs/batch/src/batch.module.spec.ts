import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type BatchObservableCallback, createNoopMeter, type Meter, metrics } from '@opentelemetry/api';
import { ConfigurationError, ResilienceModule, ShutdownCoordinator } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WorkerStoppedError } from './batch.errors.js';
import { BatchModule } from './batch.module.js';
import type { BatchModuleOptions } from './batch.options.js';
import { BatchHealthProbe } from './registry/batch.health-probe.js';
import { BatchRegistry } from './registry/batch.registry.js';

type Import = ReturnType<typeof BatchModule.forRoot>;

const bootModules = (imports: Import[]) => {
  @Module({ imports })
  class AppModule {}
  return NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
};

async function boot(options?: BatchModuleOptions) {
  const clock = new VirtualClock();
  const app = await bootModules([ResilienceModule.forRoot({ clock }), BatchModule.forRoot(options)]);
  return { app, clock, registry: app.get(BatchRegistry), probe: app.get(BatchHealthProbe) };
}

const caught = (work: () => unknown): Promise<unknown> =>
  Promise.resolve()
    .then(work)
    .then(
      () => undefined,
      (error: unknown) => error,
    );
const never = (): Promise<void> => new Promise<void>(() => undefined);

afterEach(() => {
  metrics.disable();
  vi.restoreAllMocks();
});

describe('BatchModule', () => {
  it('drains queues before workers when the app stops, so that handlers of queues can still submit', async () => {
    const { app, clock, registry } = await boot();
    const saved: string[] = [];
    const worker = registry.createWorker<string>({ name: 'saver', handler: (items) => void saved.push(...items) });
    const queue = registry.createQueue<string, string>({
      name: 'events',
      handler: (item) => worker.submit(item),
      onError: () => undefined,
    });
    ['a', 'b', 'c'].forEach((item) => queue.tryEnqueue('key', item));
    await app.close();
    expect(saved).toEqual(['a', 'b', 'c']);
    expect(WorkerStoppedError.is(await caught(() => worker.submit('d')))).toBe(true);
    expect(app.get(ShutdownCoordinator).report).toMatchObject({ leftOver: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  it('takes what handlers that end in phase work still hand over, and finishes it', async () => {
    const { app, clock, registry } = await boot();
    const saved: string[] = [];
    const settings = { name: 'slow', onError: () => undefined };
    const worker = registry.createWorker<string>({ name: 'saver', handler: (items) => void saved.push(...items) });
    const queue = registry.createQueue<string, string>({ ...settings, handler: () => clock.sleep(1_000) });
    app.get(ShutdownCoordinator).register({
      name: 'message handlers',
      phase: 'work',
      stop: async () => {
        await clock.sleep(500);
        await worker.submit('its own');
        expect(queue.tryEnqueue('key', 'its own')).toBe(true);
      },
    });
    const closed = app.close();
    await clock.until(() => app.get(ShutdownCoordinator).phase === 'stopped');
    await closed;
    expect(saved).toEqual(['its own']);
    expect(queue.stats).toMatchObject({ state: 'stopped', completed: 1, leftover: 0 });
    expect(app.get(ShutdownCoordinator).report).toMatchObject({ clean: true, leftOver: 0 });
    expect(clock.pendingTimers).toBe(0);
  });

  it('does not hold the stop up for items that wait for their next attempt or in a paused queue', async () => {
    const { app, clock, registry } = await boot();
    const settings = { name: 'q', onError: () => undefined };
    const retrying = registry.createQueue({ ...settings, handler: () => ({ retryAfterMs: 60_000 }) });
    const paused = registry.createQueue({ ...settings, handler: () => undefined });
    paused.pause();
    [retrying, paused].forEach((queue) => queue.tryEnqueue('a', 1));
    await clock.settle();
    await app.close();
    expect(clock.monotonic()).toBe(0);
    expect(app.get(ShutdownCoordinator).report.leftOver).toBe(2);
    expect(clock.pendingTimers).toBe(0);
  });

  it('reports to the stop of the app how many items were left over', async () => {
    const { app, clock, registry } = await boot();
    const worker = registry.createWorker<string>({ name: 'stuck', handler: never });
    const result = caught(() => worker.submit('a'));
    const closed = app.close();
    await clock.until(() => app.get(ShutdownCoordinator).phase === 'stopped');
    await closed;
    expect(app.get(ShutdownCoordinator).report.leftOver).toBe(1);
    expect(WorkerStoppedError.is(await result)).toBe(true);
    expect(clock.pendingTimers).toBe(0);
  });

  it('gives workers and queues the bounds of the app where their own options say nothing', async () => {
    const { app, registry } = await boot({ worker: { capacityItems: 7 }, queue: { capacity: 8 } });
    registry.createWorker({ name: 'w', handler: never });
    registry.createWorker({ name: 'w', handler: never, capacityItems: 3 });
    registry.createQueue({ name: 'q', handler: never, onError: () => undefined });
    expect(registry.list()).toMatchObject([
      { kind: 'queue', stats: { name: 'q', capacity: 8 } },
      { kind: 'worker', stats: { name: 'w', capacityItems: 7 } },
      { kind: 'worker', stats: { name: 'w', capacityItems: 3 } },
    ]);
    await app.close();
  });

  it('forgets what was drained when the next one is made', async () => {
    const { app, registry } = await boot();
    const options = { name: 'q', handler: never, onError: () => undefined };
    await registry.createQueue(options).drain();
    registry.createQueue(options);
    expect(registry.list()).toHaveLength(1);
    await app.close();
  });

  it('shares nothing between two apps in one process', async () => {
    const first = await boot();
    const second = await boot();
    const worker = second.registry.createWorker<string>({ name: 'w', handler: () => undefined });
    await first.app.close();
    expect(first.registry.list()).toEqual([]);
    await worker.submit('a');
    await second.app.close();
  });

  it('takes options from a factory', async () => {
    const app = await bootModules([
      ResilienceModule.forRoot(),
      BatchModule.forRootAsync({ useFactory: () => Promise.resolve({ queue: { concurrency: 2 } }) }),
    ]);
    expect(app.get(BatchRegistry).list()).toEqual([]);
    await app.close();
  });

  it.each([
    ['a wrong option', () => BatchModule.forRoot({ degradedAboveShare: 80 }), 'degradedAboveShare'],
    ['a wrong bound', () => BatchModule.forRoot({ worker: { maxBatchItems: 0 } }), 'worker.maxBatchItems'],
    [
      'a second forRoot',
      () => bootModules([ResilienceModule.forRoot(), BatchModule.forRoot(), BatchModule.forRoot()]),
      'more than once',
    ],
    ['a missing ResilienceModule', () => bootModules([BatchModule.forRoot()]), 'ResilienceModule.forRoot()'],
    [
      'a wrong option of a factory',
      () =>
        bootModules([
          ResilienceModule.forRoot(),
          BatchModule.forRootAsync({ useFactory: () => ({ degradedAboveShare: -1 }) }),
        ]),
      'degradedAboveShare',
    ],
  ])('refuses %s at start and says what to do', async (_what, work, said) => {
    const error = await caught(work);
    expect(ConfigurationError.is(error)).toBe(true);
    expect(String(error)).toContain(said);
  });
});

describe('BatchHealthProbe', () => {
  it('is degraded when a worker or queue is more than 80 % full, and names the fullest', async () => {
    const { app, registry, probe } = await boot();
    expect(probe.check()).toEqual({
      status: 'up',
      details: { parts: 0, fullest: null, fullestPercent: 0, waiting: 0 },
    });
    const queue = registry.createQueue<string, number>({
      name: 'events',
      capacity: 10,
      handler: never,
      onError: () => undefined,
    });
    registry.createWorker<number>({ name: 'saver', handler: never });
    for (let item = 0; item < 8; item++) {
      queue.tryEnqueue('a', item);
    }
    expect(probe.check()).toMatchObject({ status: 'up', details: { parts: 2, fullest: 'events', fullestPercent: 80 } });
    queue.tryEnqueue('a', 9);
    expect(probe.check()).toMatchObject({ status: 'degraded', details: { fullestPercent: 90 } });
    expect(probe.critical).toBe(false);
    queue.pause();
    await app.close();
  });

  it('counts weight as well as items', async () => {
    const { app, registry, probe } = await boot({ degradedAboveShare: 0.5 });
    const worker = registry.createWorker<number>({
      name: 'saver',
      capacityWeight: 10,
      weigh: (item) => item,
      handler: () => undefined,
    });
    worker.tryEnqueue(6);
    expect(probe.check()).toMatchObject({ status: 'degraded', details: { fullestPercent: 60 } });
    await app.close();
  });
});

describe('BatchTelemetry', () => {
  it('shows the figures from module init until the stop, equal names added up', async () => {
    const callbacks = new Set<BatchObservableCallback>();
    const names = new Map<object, string>();
    const meter = createNoopMeter();
    const named = (name: string) => {
      const instrument = { addCallback: () => undefined, removeCallback: () => undefined };
      names.set(instrument, name);
      return instrument;
    };
    vi.spyOn(meter, 'createObservableGauge').mockImplementation(named);
    vi.spyOn(meter, 'createObservableCounter').mockImplementation(named);
    vi.spyOn(meter, 'addBatchObservableCallback').mockImplementation((callback, observables) => {
      if (observables.some((observable) => names.get(observable) === 'batch.inflight')) {
        callbacks.add(callback);
      }
    });
    vi.spyOn(meter, 'removeBatchObservableCallback').mockImplementation((callback) => void callbacks.delete(callback));
    metrics.setGlobalMeterProvider({ getMeter: (): Meter => meter });

    const { app, clock, registry } = await boot();
    expect(callbacks.size).toBe(1);
    const options = { name: 'events', handler: never, onError: () => undefined };
    registry.createQueue<string, number>(options).tryEnqueue('secret key', 1);
    registry.createQueue<string, number>(options).tryEnqueue('b', 1);
    const seen: unknown[] = [];
    for (const callback of callbacks) {
      await callback({
        observe: (observable, value, attributes) => void seen.push([names.get(observable), value, attributes]),
      });
    }
    const attributes = { 'batch.name': 'events', 'batch.kind': 'queue' };
    expect(seen).toContainEqual(['batch.queue.depth', 2, attributes]);
    expect(seen).toContainEqual(['batch.items.enqueued', 2, attributes]);
    expect(seen).toContainEqual(['keyed_queue.keys.active', 2, attributes]);
    expect(JSON.stringify(seen)).not.toContain('secret');

    const closed = app.close();
    await clock.until(() => app.get(ShutdownCoordinator).phase === 'stopped');
    await closed;
    expect(callbacks.size).toBe(0);
  });
});

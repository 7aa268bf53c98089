import { type BatchObservableCallback, createNoopMeter, metrics, type Observable } from '@opentelemetry/api';
import { ShutdownCoordinator } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { DataSyncTelemetry } from './data-sync.telemetry.js';
import { SyncActivity } from './supervise/sync.activity.js';

afterEach(() => metrics.disable());

describe('DataSyncTelemetry', () => {
  it('is asked while the app runs, and takes its callback back when it stops', async () => {
    const callbacks = new Map<BatchObservableCallback, readonly Observable[]>();
    const meter = Object.assign(createNoopMeter(), {
      addBatchObservableCallback: (callback: BatchObservableCallback, of: Observable[]) =>
        void callbacks.set(callback, of),
      removeBatchObservableCallback: (callback: BatchObservableCallback, of: Observable[]) => {
        expect(of).toEqual(callbacks.get(callback));
        callbacks.delete(callback);
      },
    });
    metrics.setGlobalMeterProvider({ getMeter: () => meter });
    const shutdown = new ShutdownCoordinator(new VirtualClock());
    new DataSyncTelemetry(new SyncActivity(), shutdown).onModuleInit();
    expect(callbacks.size).toBe(1);
    await shutdown.runThrough('clients');
    expect(callbacks.size).toBe(0);
  });
});

import { Logger } from '@nestjs/common';
import {
  type BatchObservableCallback,
  createNoopMeter,
  type Meter,
  type MeterProvider,
  metrics,
  type Observable,
} from '@opentelemetry/api';
import { ShutdownCoordinator } from '@smartpulse/resilience';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { CDC_INSTRUMENTS, CdcTelemetry } from './cdc.telemetry.js';
import { LAB_TABLE, TrackerLab } from './testing/index.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(['log', 'warn', 'error', 'fatal']));
afterEach(() => metrics.disable());

/** A meter that keeps what is registered with it. */
function recordingMeter() {
  const callbacks = new Set<BatchObservableCallback>();
  const names = new Map<Observable, string>();
  const polls: unknown[] = [];
  const noop = createNoopMeter();
  const observable = (name: string): Observable => {
    const made: Observable = { addCallback: () => {}, removeCallback: () => {} };
    names.set(made, name);
    return made;
  };
  const meter: Meter = {
    createGauge: (name) => noop.createGauge(name),
    createCounter: (name) => noop.createCounter(name),
    createUpDownCounter: (name) => noop.createUpDownCounter(name),
    createObservableUpDownCounter: (name) => noop.createObservableUpDownCounter(name),
    createHistogram: () => ({ record: (_, attributes) => void polls.push(attributes) }),
    createObservableGauge: observable,
    createObservableCounter: observable,
    addBatchObservableCallback: (callback) => void callbacks.add(callback),
    removeBatchObservableCallback: (callback) => void callbacks.delete(callback),
  };
  const provider: MeterProvider = { getMeter: () => meter };
  const read = async () => {
    const seen: Record<string, unknown> = {};
    for (const callback of callbacks) {
      await callback({
        observe: (metric, value, attributes) => {
          const { consumer, table, ...rest } = attributes ?? {};
          expect([consumer, table]).toEqual(['lab', LAB_TABLE]);
          seen[[names.get(metric), ...Object.values(rest)].join(' ')] = value;
        },
      });
    }
    return seen;
  };
  return { provider, read, callbacks, polls };
}

describe('CdcTelemetry', () => {
  it('reports lag, rows, errors and resyncs per tracker, and nothing after the shutdown', async () => {
    const meter = recordingMeter();
    metrics.setGlobalMeterProvider(meter.provider);
    const lab = new TrackerLab();
    const registry = lab.registry();
    const shutdown = new ShutdownCoordinator(lab.clock);
    new CdcTelemetry(registry, shutdown).onModuleInit();
    lab.write(1, 2);
    const tracker = lab.track({}, registry);
    tracker.start();
    await lab.caughtUp(tracker);
    lab.write(3);
    lab.sink.failNext(new TypeError('no'));
    await lab.clock.until(() => tracker.state.kind === 'failing');

    expect(await meter.read()).toMatchObject({
      [CDC_INSTRUMENTS.lease]: 1,
      [CDC_INSTRUMENTS.versionsBehind]: 1,
      [`${CDC_INSTRUMENTS.rows} snapshot`]: 2,
      [`${CDC_INSTRUMENTS.rows} change`]: 0,
      [`${CDC_INSTRUMENTS.errors} TypeError outage`]: 1,
      [`${CDC_INSTRUMENTS.resyncs} firstStart`]: 1,
      [CDC_INSTRUMENTS.poison]: 0,
    });
    await lab.caughtUp(tracker);
    expect(await meter.read()).toMatchObject({
      [CDC_INSTRUMENTS.versionsBehind]: 0,
      [CDC_INSTRUMENTS.secondsBehind]: 0,
    });
    expect(meter.polls).toContainEqual({ consumer: 'lab', table: LAB_TABLE, phase: 'scan' });

    await tracker.stop();
    const stopping = shutdown.runThrough('clients');
    await lab.clock.advance(1);
    await stopping;

    expect(meter.callbacks.size).toBe(0);
  });

  it('counts seconds behind from the scan on, before the table was ever complete', async () => {
    const meter = recordingMeter();
    metrics.setGlobalMeterProvider(meter.provider);
    const lab = new TrackerLab();
    const registry = lab.registry();
    new CdcTelemetry(registry, new ShutdownCoordinator(lab.clock)).onModuleInit();
    const readChunk = lab.source.readChunk.bind(lab.source);
    lab.source.readChunk = async (request) => {
      await lab.clock.sleep(60_000, request.signal);
      return readChunk(request);
    };
    lab.write(1, 2, 3, 4);
    const tracker = lab.track({ chunkSize: 1 }, registry);
    tracker.start();
    await lab.clock.advance(30_000);
    lab.write(5);
    await lab.clock.advance(60_000);

    expect(await meter.read()).toMatchObject({
      [CDC_INSTRUMENTS.versionsBehind]: 1,
      [CDC_INSTRUMENTS.secondsBehind]: expect.closeTo(90, 0),
    });
    await tracker.stop(AbortSignal.abort());
  });
});

import type { OnModuleInit } from '@nestjs/common';
import {
  type Attributes,
  type BatchObservableCallback,
  type Meter,
  metrics,
  type Observable,
} from '@opentelemetry/api';
import type { ShutdownCoordinator } from '@smartpulse/resilience';
import type { BatchPart } from './registry/batch-part.js';
import type { BatchRegistry } from './registry/batch.registry.js';

interface Instrument {
  readonly kind: 'gauge' | 'counter';
  readonly unit: string;
  readonly description: string;
  /** `undefined`: this kind of part has no such figure. */
  read(part: BatchPart): number | undefined;
}

/**
 * The instruments of this package. All are observed: hot paths count in plain integers and pay nothing for them. Attributes: `batch.name`, the name of the
 * worker or queue, and `batch.kind`, `worker` or `queue`; figures of equal names are added up.
 */
export const BATCH_INSTRUMENTS = Object.freeze({
  'batch.queue.depth': {
    kind: 'gauge',
    unit: '{item}',
    description: 'Items accepted that no handler has.',
    read: ({ kind, stats }) => (kind === 'worker' ? stats.queued : stats.size - stats.inFlight),
  },
  'batch.inflight': {
    kind: 'gauge',
    unit: '{item}',
    description: 'Items in a handler.',
    read: ({ stats }) => stats.inFlight,
  },
  'batch.waiters': {
    kind: 'gauge',
    unit: '{caller}',
    description: 'Callers that wait for room.',
    read: ({ stats }) => stats.waiting,
  },
  'batch.items.enqueued': {
    kind: 'counter',
    unit: '{item}',
    description: 'Items accepted.',
    read: ({ stats }) => stats.accepted,
  },
  'batch.items.processed': {
    kind: 'counter',
    unit: '{item}',
    description: 'Items handled with success.',
    read: ({ stats }) => stats.completed,
  },
  'batch.items.failed': {
    kind: 'counter',
    unit: '{item}',
    description: 'Items that failed.',
    read: ({ stats }) => stats.failed,
  },
  'batch.items.refused': {
    kind: 'counter',
    unit: '{item}',
    description: 'Items that were never accepted: no room, too heavy, stopped, taken back.',
    read: ({ stats }) => stats.refused,
  },
  'batch.batches': {
    kind: 'counter',
    unit: '{batch}',
    description: 'Batches handed to the handler.',
    read: ({ kind, stats }) => (kind === 'worker' ? stats.batches : undefined),
  },
  'keyed_queue.keys.active': {
    kind: 'gauge',
    unit: '{key}',
    description: 'Keys that have items or callers that wait.',
    read: ({ kind, stats }) => (kind === 'queue' ? stats.keys : undefined),
  },
  'keyed_queue.keys.retrying': {
    kind: 'gauge',
    unit: '{key}',
    description: 'Keys whose first item waits for its next attempt.',
    read: ({ kind, stats }) => (kind === 'queue' ? stats.retrying : undefined),
  },
  'keyed_queue.retries': {
    kind: 'counter',
    unit: '{retry}',
    description: 'Times that a handler asked for an item again.',
    read: ({ kind, stats }) => (kind === 'queue' ? stats.retries : undefined),
  },
} satisfies Record<string, Instrument>);

/** Shows the figures of a registry to the app's meter provider, from module init until the stop. */
export class BatchTelemetry implements OnModuleInit {
  readonly #registry: BatchRegistry;
  readonly #shutdown: Pick<ShutdownCoordinator, 'register'>;

  constructor(registry: BatchRegistry, shutdown: Pick<ShutdownCoordinator, 'register'>) {
    this.#registry = registry;
    this.#shutdown = shutdown;
  }

  /** Metrics have no proxy provider: what is created before the app has set its own would never be seen. */
  onModuleInit(): void {
    const meter = metrics.getMeter('@smartpulse/batch');
    const created = Object.entries<Instrument>(BATCH_INSTRUMENTS).map(([name, instrument]) => ({
      observable: create(meter, name, instrument),
      instrument,
    }));
    const observables = created.map(({ observable }) => observable);
    const callback: BatchObservableCallback = (result) => {
      const parts = this.#registry.list();
      for (const { observable, instrument } of created) {
        for (const { value, attributes } of sumByName(parts, instrument)) {
          result.observe(observable, value, attributes);
        }
      }
    };
    meter.addBatchObservableCallback(callback, observables);
    this.#shutdown.register({
      name: 'batch telemetry',
      phase: 'clients',
      stop: () => meter.removeBatchObservableCallback(callback, observables),
    });
  }
}

function create(meter: Meter, name: string, { kind, unit, description }: Instrument): Observable {
  return kind === 'gauge'
    ? meter.createObservableGauge(name, { unit, description })
    : meter.createObservableCounter(name, { unit, description });
}

function sumByName(
  parts: readonly BatchPart[],
  instrument: Instrument,
): Iterable<{ value: number; readonly attributes: Attributes }> {
  const sums = new Map<string, { value: number; readonly attributes: Attributes }>();
  for (const part of parts) {
    const value = instrument.read(part);
    if (value === undefined) {
      continue;
    }
    const id = `${part.kind} ${part.stats.name}`;
    const sum = sums.get(id) ?? { value: 0, attributes: { 'batch.name': part.stats.name, 'batch.kind': part.kind } };
    sum.value += value;
    sums.set(id, sum);
  }
  return sums.values();
}

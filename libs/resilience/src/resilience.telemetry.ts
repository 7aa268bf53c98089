import { metrics } from '@opentelemetry/api';
import type { BatchObservableResult, Meter, Observable } from '@opentelemetry/api';
import type { OnModuleInit } from '@nestjs/common';
import type { PolicySnapshot } from './policy/policy.js';
import type { ResilienceRegistry } from './policy/policy.registry.js';
import type { ShutdownCoordinator } from './shutdown/shutdown.coordinator.js';

/** The instruments of this package; all have the attribute `policy`. */
export const RESILIENCE_INSTRUMENTS = Object.freeze({
  /** Counter {call}: calls by `outcome` = succeeded | failed | timed_out | rejected | cancelled. */
  calls: 'resilience.calls',
  /** Counter {retry}: runs after the first one of a call. */
  retries: 'resilience.retry.count',
  /** Gauge: 1 for the `state` that the circuit is in, 0 for the others. */
  circuitState: 'resilience.circuit.state',
  /** Counter {opening}: how often the circuit opened. */
  circuitOpened: 'resilience.circuit.opened',
  /** Gauge {call}: calls that hold a place of the bulkhead. */
  bulkheadActive: 'resilience.bulkhead.active',
  /** Gauge {call}: calls that wait for a place. */
  bulkheadQueue: 'resilience.bulkhead.queue',
});

const STATES = ['closed', 'open', 'halfOpen', 'isolated'] as const;

/** Reports the plain counts of the policies when metrics are read; a call itself costs nothing more. */
export class ResilienceTelemetry implements OnModuleInit {
  constructor(
    private readonly registry: Pick<ResilienceRegistry, 'list'>,
    private readonly shutdown: Pick<ShutdownCoordinator, 'register'>,
  ) {}

  /** Makes the instruments: not at import, where the app's meter provider is not set yet. */
  onModuleInit(): void {
    const meter = metrics.getMeter('@smartpulse/resilience');
    const instruments = createInstruments(meter);
    const report = (result: BatchObservableResult): void => {
      for (const policy of this.registry.list()) {
        observe(result, instruments, policy);
      }
    };
    const observables = Object.values(instruments);
    meter.addBatchObservableCallback(report, observables);
    this.shutdown.register({
      name: 'resilience metrics',
      phase: 'clients',
      stop: () => meter.removeBatchObservableCallback(report, observables),
    });
  }
}

type Instruments = Readonly<Record<keyof typeof RESILIENCE_INSTRUMENTS, Observable>>;

function createInstruments(meter: Meter): Instruments {
  const names = RESILIENCE_INSTRUMENTS;
  return {
    calls: meter.createObservableCounter(names.calls, { unit: '{call}', description: 'Calls of policies by outcome.' }),
    retries: meter.createObservableCounter(names.retries, { unit: '{retry}', description: 'Runs after the first.' }),
    circuitState: meter.createObservableGauge(names.circuitState, {
      description: '1 for the state the circuit is in.',
    }),
    circuitOpened: meter.createObservableCounter(names.circuitOpened, { unit: '{opening}' }),
    bulkheadActive: meter.createObservableGauge(names.bulkheadActive, { unit: '{call}' }),
    bulkheadQueue: meter.createObservableGauge(names.bulkheadQueue, { unit: '{call}' }),
  };
}

function observe(result: BatchObservableResult, instruments: Instruments, snapshot: PolicySnapshot): void {
  const policy = { policy: snapshot.name };
  const outcomes = {
    succeeded: snapshot.succeeded,
    failed: snapshot.failed,
    timed_out: snapshot.timedOut,
    rejected: snapshot.rejected,
    cancelled: snapshot.cancelled,
  };
  for (const [outcome, count] of Object.entries(outcomes)) {
    result.observe(instruments.calls, count, { ...policy, outcome });
  }
  result.observe(instruments.retries, snapshot.retries, policy);
  if (snapshot.circuit !== undefined) {
    for (const state of STATES) {
      result.observe(instruments.circuitState, snapshot.circuit.state === state ? 1 : 0, { ...policy, state });
    }
    result.observe(instruments.circuitOpened, snapshot.circuit.opened, policy);
  }
  if (snapshot.bulkhead !== undefined) {
    result.observe(instruments.bulkheadActive, snapshot.bulkhead.active, policy);
    result.observe(instruments.bulkheadQueue, snapshot.bulkhead.waiting, policy);
  }
}

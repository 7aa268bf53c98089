import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { type BatchObservableResult, metrics } from '@opentelemetry/api';
import { ShutdownCoordinator } from '@smartpulse/resilience';
import { HealthSampler } from './sampling/health.sampler.js';

/** The instruments of this package. */
export const HEALTH_INSTRUMENTS = Object.freeze({
  /** Gauge, attribute `probe`: 1 up, 0.5 degraded or unknown, 0 down. */
  probeStatus: 'health.probe.status',
});

const VALUES = Object.freeze({ up: 1, degraded: 0.5, down: 0 });

/** Reports what the sampler knows when metrics are read. */
@Injectable()
export class HealthTelemetry implements OnModuleInit {
  constructor(
    @Inject(HealthSampler) private readonly sampler: HealthSampler,
    @Inject(ShutdownCoordinator) private readonly shutdown: ShutdownCoordinator,
  ) {}

  /** Makes the instrument: not at import, where the app's meter provider is not set yet. */
  onModuleInit(): void {
    const meter = metrics.getMeter('@smartpulse/health');
    const gauge = meter.createObservableGauge(HEALTH_INSTRUMENTS.probeStatus, {
      description: '1 up, 0.5 degraded, 0 down.',
    });
    const report = (result: BatchObservableResult): void => {
      for (const { name, status } of this.sampler.reports()) {
        result.observe(gauge, VALUES[status], { probe: name });
      }
    };
    meter.addBatchObservableCallback(report, [gauge]);
    this.shutdown.register({
      name: 'health metrics',
      phase: 'clients',
      stop: () => meter.removeBatchObservableCallback(report, [gauge]),
    });
  }
}

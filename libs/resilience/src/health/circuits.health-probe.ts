import type { ResilienceRegistry } from '../policy/policy.registry.js';
import { HealthProbe, type ProbeResult } from './health-probe.js';

/** Degraded while a circuit is not closed: something that the app depends on is ill, and the app knows how to live with it. */
export class CircuitsHealthProbe extends HealthProbe {
  override readonly name = 'resilience-circuits';

  constructor(private readonly registry: Pick<ResilienceRegistry, 'list'>) {
    super();
  }

  override check(): ProbeResult {
    const circuits = this.registry
      .list()
      .flatMap(({ name, circuit }) => (circuit === undefined ? [] : [[name, circuit.state]]));
    const ill = circuits.some(([, state]) => state !== 'closed');
    return { status: ill ? 'degraded' : 'up', details: Object.fromEntries(circuits) };
  }
}

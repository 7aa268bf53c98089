import { describe, expect, it } from 'vitest';
import { ResilienceRegistry } from '../policy/policy.registry.js';
import { SeededRandom } from '../random/seeded.random.js';
import { runContract } from '../testing/contract.js';
import { healthProbeContract } from '../testing/health-probe.contract.js';
import { VirtualClock } from '../testing/virtual.clock.js';
import { CircuitsHealthProbe } from './circuits.health-probe.js';

function registry(): ResilienceRegistry {
  const policies = new ResilienceRegistry(new VirtualClock(), new SeededRandom());
  policies.create('stock');
  policies.create('plain', { breaker: false });
  return policies;
}

runContract(
  { describe, it },
  'HealthProbe: circuits',
  healthProbeContract(() => new CircuitsHealthProbe(registry())),
);

describe('CircuitsHealthProbe', () => {
  it('is degraded while a circuit is held open, and says which', () => {
    const policies = registry();
    const probe = new CircuitsHealthProbe(policies);
    const release = policies.get('stock').isolate();
    expect(probe.check()).toEqual({ status: 'degraded', details: { stock: 'isolated' } });
    release();

    expect(probe.check()).toEqual({ status: 'up', details: { stock: 'closed' } });
  });
});

import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { TransportCapabilities } from '../transport/pulsar.transport.js';
import { deliveryCases } from './delivery.contract.js';
import { producerCases } from './producer.contract.js';
import { subscriptionCases, type TransportCase } from './subscription.contract.js';
import type { PulsarTransportFixture } from './transport-fixture.js';

/**
 * What every `PulsarTransport` keeps, as data. Cases that need a capability which the transport says it lacks are skipped by name.
 *
 * @param create makes a fixture for one case.
 * @example
 * ```ts
 * runContract({ describe, it }, 'PulsarTransport: mine', pulsarTransportContract(createFixture, CAPABILITIES));
 * ```
 */
export function pulsarTransportContract(
  create: () => PulsarTransportFixture | Promise<PulsarTransportFixture>,
  capabilities: TransportCapabilities,
): readonly ContractCase[] {
  return [...subscriptionCases, ...deliveryCases, ...producerCases].map((one) => ({
    title: one.title,
    ...skip(one, capabilities),
    run: async () => {
      const fixture = await create();
      try {
        await one.check(fixture);
      } finally {
        await fixture.close();
      }
      assert.equal(fixture.pendingTimers?.() ?? 0, 0, 'no timer outlives the transport');
    },
  }));
}

function skip({ needs }: TransportCase, capabilities: TransportCapabilities): { skip?: string } {
  const types: readonly string[] = capabilities.subscriptionTypes;
  const offered =
    needs === undefined ||
    (needs === 'Exclusive' || needs === 'Failover' || needs === 'Shared' || needs === 'Key_Shared'
      ? types.includes(needs)
      : capabilities[needs]);
  return offered ? {} : { skip: `no ${needs}` };
}

import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { TransportCapabilities } from '../transport/pulsar.transport.js';
import { deliveryCases } from './delivery.contract.js';
import { producerCases } from './producer.contract.js';
import { batchCases } from './batch.contract.js';
import { operatorCases } from './operator.contract.js';
import { isCapability, subscriptionCases, type TransportCase, type TransportNeed } from './subscription.contract.js';
import type { PulsarTransportFixture } from './transport-fixture.js';

/**
 * What every `PulsarTransport` keeps, as data. Cases that need a capability which the transport says it lacks are skipped by name.
 *
 * @param create makes a fixture for one case.
 * @param offered whether the fixtures have the controls of an operator (`broker`).
 * @example
 * ```ts
 * runContract({ describe, it }, 'PulsarTransport: mine', pulsarTransportContract(createFixture, CAPABILITIES));
 * ```
 */
export function pulsarTransportContract(
  create: () => PulsarTransportFixture | Promise<PulsarTransportFixture>,
  capabilities: TransportCapabilities,
  offered: { readonly operator: boolean } = { operator: false },
): readonly ContractCase[] {
  return [...subscriptionCases, ...deliveryCases, ...producerCases, ...batchCases(capabilities), ...operatorCases].map(
    (one) => ({
      title: one.title,
      ...skip(one, capabilities, offered),
      run: async () => {
        const fixture = await create();
        try {
          await one.check(fixture);
        } finally {
          await fixture.close();
        }
        assert.equal(fixture.pendingTimers?.() ?? 0, 0, 'no timer outlives the transport');
      },
    }),
  );
}

function skip(
  { needs }: TransportCase,
  capabilities: TransportCapabilities,
  { operator }: { readonly operator: boolean },
): { skip?: string } {
  const types: readonly string[] = capabilities.subscriptionTypes;
  const has = (need: TransportNeed): boolean => {
    if (need === 'operator') {
      return operator;
    }
    return isCapability(need) ? capabilities[need] : types.includes(need);
  };
  return needs === undefined || has(needs) ? {} : { skip: `no ${needs}` };
}

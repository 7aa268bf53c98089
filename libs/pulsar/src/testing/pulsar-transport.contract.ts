import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { TransportCapabilities } from '../transport/pulsar.transport.js';
import { accessCases } from './access.contract.js';
import { deliveryCases } from './delivery.contract.js';
import { producerCases } from './producer.contract.js';
import { batchCases } from './batch.contract.js';
import { operatorCases } from './operator.contract.js';
import { outageCases } from './outage.contract.js';
import { type OperatorAct, subscriptionCases, type TransportCase, WITHOUT_ACT } from './subscription.contract.js';
import type { PulsarTransportFixture } from './transport-fixture.js';

/**
 * What every `PulsarTransport` keeps, as data. Cases that need a capability which the transport says it lacks are skipped by name.
 *
 * @param create makes a fixture for one case.
 * @param acts what there is in the world of the fixtures: what their operator (`broker`) can do, and which ways in (`access`) there are.
 * @example
 * ```ts
 * runContract({ describe, it }, 'PulsarTransport: mine', pulsarTransportContract(createFixture, CAPABILITIES));
 * ```
 */
export function pulsarTransportContract(
  create: () => PulsarTransportFixture | Promise<PulsarTransportFixture>,
  capabilities: TransportCapabilities,
  acts: readonly OperatorAct[] = [],
): readonly ContractCase[] {
  return [
    ...subscriptionCases,
    ...deliveryCases,
    ...producerCases,
    ...batchCases(capabilities),
    ...operatorCases,
    ...outageCases,
    ...accessCases,
  ].map((one) => ({
    title: one.title,
    ...skip(one, capabilities, acts),
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

function skip(
  { needs }: TransportCase,
  capabilities: TransportCapabilities,
  acts: readonly OperatorAct[],
): { skip?: string } {
  const offered: readonly string[] = [
    ...acts,
    ...capabilities.subscriptionTypes,
    ...Object.entries(capabilities).flatMap(([name, has]) => (has === true ? [name] : [])),
  ];
  if (needs === undefined || offered.includes(needs)) {
    return {};
  }
  return { skip: isAct(needs) ? WITHOUT_ACT[needs] : `no ${needs}` };
}

function isAct(need: string): need is OperatorAct {
  return Object.hasOwn(WITHOUT_ACT, need);
}

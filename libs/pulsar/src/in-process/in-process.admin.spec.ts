import { runContract, SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { brokerAdminContract } from '../testing/admin.contract.js';
import { inProcessFixture } from '../testing/in-process.fixture.js';
import { InProcessAdmin } from './in-process.admin.js';
import { InProcessBroker } from './in-process.broker.js';

const probe = new InProcessAdmin(new InProcessBroker({ clock: new VirtualClock(), random: new SeededRandom() }));

runContract(
  { describe, it },
  'BrokerAdmin: in-process',
  brokerAdminContract(() => {
    let admin: InProcessAdmin | undefined;
    const fixture = inProcessFixture((transport, { broker }) => {
      admin ??= new InProcessAdmin(broker);
      return transport;
    });
    return fixture.transport().then(() => ({
      fixture,
      admin: admin ?? probe,
      namespace: 'public/default',
      fresh: () => 'fresh',
    }));
  }, probe.capabilities),
);

describe('InProcessAdmin', () => {
  it('says what an in-process broker does not have', async () => {
    for (const asked of [
      probe.listTenants(),
      probe.createNamespace(),
      probe.policies(),
      probe.setPolicies(),
      probe.createTopic('persistent://a/b/c', 2),
      probe.growTopic('persistent://a/b/c'),
      probe.resetCursor('persistent://a/b/c'),
    ]) {
      await expect(asked).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_UNSUPPORTED' });
    }
  });
});

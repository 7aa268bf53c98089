import { Logger } from '@nestjs/common';
import { ConfigurationError } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { PulsarError } from '../pulsar.errors.js';
import { resolveOptions } from '../transport/resolve-options.js';
import { startApp } from '../testing/test-app.js';
import { PulsarAdmin } from './pulsar.admin.js';
import type { ProvisionOptions } from './provision-options.js';
import { PulsarProvisioner } from './pulsar.provisioner.js';
import { SeededRandom } from '@smartpulse/resilience/testing';

const AWAY = new PulsarError('SMARTPULSE_PULSAR_CONNECTION', 'Nobody answers.', {
  kind: 'transient',
  remedy: 'It is part of the test.',
});

const CONFLICT = new PulsarError('SMARTPULSE_PULSAR_CONFLICT', 'There is one.', { kind: 'permanent', remedy: '' });
/** What Pulsar 4.2 says of a write that met another one: 500, without a reason. */
const COLLISION = new PulsarError('SMARTPULSE_PULSAR_BROKER', 'PUT /tenants/wind was answered with 500.', {
  kind: 'transient',
  remedy: '',
  ambiguous: true,
});
const REFUSAL = new PulsarError('SMARTPULSE_PULSAR_AUTHORIZATION', 'It may not.', { kind: 'permanent', remedy: '' });

describe('PulsarProvisioner', () => {
  beforeAll(() => Logger.overrideLogger(false));
  afterAll(() => Logger.overrideLogger(true));

  it('makes topics before anything subscribes, on the broker of the process too, and leaves what there is', async () => {
    const provision: ProvisionOptions = {
      tenants: ['wind'],
      namespaces: [{ name: 'wind/north', deduplication: true }],
      topics: [{ topic: 'orders' }, { topic: 'readings', partitions: 4 }],
    };
    const test = await startApp({ options: { provision } });
    const admin = test.app.get(PulsarAdmin);
    expect(await admin.topics()).toEqual([
      'persistent://public/default/orders',
      'persistent://public/default/readings',
    ]);
    const again = await startApp({ broker: test.broker, options: { provision } });
    expect(await admin.topics()).toHaveLength(2);
    await again.close();
    await test.close();
  });

  it.each([
    [{ topics: [{ topic: 'a b' }] }, /provision\.topics\.0\.topic/],
    [{ topics: [{ topic: 'a', partitions: -1 }] }, /partitions/],
    [{ namespaces: [{ name: 'wind' }] }, /provision\.namespaces\.0\.name/],
    [{ namespaces: [{ name: 'wind/north', ttl: 1 }] }, /ttl/],
  ])('refuses %j at start, naming what is wrong', (provision, message) => {
    const options = { url: 'memory://', provision } as Parameters<typeof resolveOptions>[1];
    expect(() => resolveOptions('test', options)).toThrow(message);
  });

  it('needs a way to the administration of a real broker', () => {
    const options = { url: 'pulsar://host:6650', namespace: 'public/default', provision: { tenants: ['wind'] } };
    expect(() => resolveOptions('test', options)).toThrow(/"adminUrl".*provision/);
    expect(() => resolveOptions('test', { ...options, adminUrl: 'http://host:8080' })).not.toThrow();
  });

  it.each([
    ['fail', 1, true],
    ['retry', 3, false],
    ['continue', 1, false],
  ] as const)(
    'deals with a broker that does not answer at first by the startup policy %s',
    async (policy, asked, fails) => {
      const test = await startApp();
      const admin = test.app.get(PulsarAdmin);
      const clock = new VirtualClock();
      let left = 2;
      const partitions = vi.spyOn(admin, 'partitions').mockImplementation(async () => {
        if (left-- > 0) {
          throw AWAY;
        }
        return 0;
      });
      const options = resolveOptions('test', {
        url: 'memory://',
        provision: { topics: [{ topic: 'orders' }] },
        startup: { policy, timeoutMs: 60_000 },
      });
      const done = new PulsarProvisioner(admin, options, clock, new SeededRandom()).onModuleInit();
      const outcome = done.then(
        () => 'started',
        (error: unknown) => (error === AWAY ? 'failed' : String(error)),
      );
      await clock.advance(60_000);
      expect(await outcome).toBe(fails ? 'failed' : 'started');
      expect(partitions).toHaveBeenCalledTimes(asked);
      await test.close();
    },
  );

  it('refuses to shrink a topic or to partition one that is not, and takes what another replica made meanwhile', async () => {
    const test = await startApp();
    const admin = test.app.get(PulsarAdmin);
    vi.spyOn(admin, 'capabilities', 'get').mockReturnValue({
      tenants: true,
      policies: true,
      partitions: true,
      cursorReset: true,
    });
    const found: (number | undefined)[] = [];
    vi.spyOn(admin, 'partitions').mockImplementation(async () => found.shift());
    const create = vi.spyOn(admin, 'createTopic').mockRejectedValue(CONFLICT);
    const grow = vi.spyOn(admin, 'growTopic').mockResolvedValue();
    const clock = new VirtualClock();
    const provision = (partitions: number): Promise<void> =>
      new PulsarProvisioner(
        admin,
        resolveOptions('test', { url: 'memory://', provision: { topics: [{ topic: 'orders', partitions }] } }),
        clock,
        new SeededRandom(),
      ).onModuleInit();

    found.push(8);
    await expect(provision(4)).rejects.toThrow(ConfigurationError);
    found.push(0);
    await expect(provision(4)).rejects.toThrow(/has 0 partitions, which cannot become 4/);
    expect(create).not.toHaveBeenCalled();
    found.push(undefined, 2);
    const third = provision(4);
    await clock.advance(60_000);
    await third;
    expect(create).toHaveBeenCalledTimes(1);
    expect(grow).toHaveBeenCalledWith('orders', 4);
    await test.close();
  });

  it.each([
    ['that another one was first', CONFLICT, true, 'made', 1],
    ['nothing but 500, when another one was first', COLLISION, true, 'made', 1],
    ['500 once, of itself', COLLISION, false, 'made', 2],
    ['500 again and again', COLLISION, 'never', 'PUT /tenants/wind was answered with 500.', 8],
    ['that it may not', REFUSAL, false, 'It may not.', 1],
  ] as const)('looks again when making a tenant is answered with %s', async (_, answer, otherWasFirst, ends, asked) => {
    const test = await startApp();
    const admin = test.app.get(PulsarAdmin);
    const tenants: string[] = [];
    vi.spyOn(admin, 'capabilities', 'get').mockReturnValue({
      tenants: true,
      policies: true,
      partitions: true,
      cursorReset: true,
    });
    vi.spyOn(admin, 'tenants').mockImplementation(async () => tenants);
    const create = vi.spyOn(admin, 'createTenant').mockImplementation(async (tenant) => {
      if (create.mock.calls.length > 1 && otherWasFirst === false) {
        tenants.push(tenant);
        return;
      }
      if (otherWasFirst === true) {
        tenants.push(tenant);
      }
      throw answer;
    });
    const clock = new VirtualClock();
    const options = resolveOptions('test', { url: 'memory://', provision: { tenants: ['wind'] } });
    const outcome = new PulsarProvisioner(admin, options, clock, new SeededRandom()).onModuleInit().then(
      () => 'made',
      (error: unknown) => (error instanceof Error ? error.message : 'unknown'),
    );
    await clock.advance(60_000);
    expect(await outcome).toContain(ends);
    expect(create).toHaveBeenCalledTimes(asked);
    await test.close();
  });
});

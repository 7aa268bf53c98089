import { afterEach, describe, expect, it } from 'vitest';
import { PulsarRegistry } from '../consumer/pulsar.registry.js';
import { startApp, type TestApp } from '../testing/test-app.js';
import { PulsarHealthProbe } from './pulsar.health-probe.js';

const opened: TestApp[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((app) => app.close()));
});

async function open() {
  const app = await startApp();
  opened.push(app);
  return { ...app, probe: app.app.get(PulsarHealthProbe), registry: app.app.get(PulsarRegistry) };
}

class Down extends Error {}

describe('PulsarHealthProbe', () => {
  it('tells of each consumer its state and what it has in flight', async () => {
    const { consumers, publisher, clock, probe, registry } = await open();
    const isOutage = (error: unknown): boolean => error instanceof Down;
    await consumers.register({ topic: 'a', subscription: 's', isOutage }, () => Promise.reject(new Down('secret')));
    await consumers.register({ topic: 'b', subscription: 's' }, () => undefined);
    registry.pause('b/s');
    const sinceMs = clock.now();
    await publisher.publish('a', 1);
    await clock.settle();
    const { status, details } = probe.check();
    expect(status).toBe('degraded');
    expect(details).toMatchObject({
      'consumer a/s': `outage since ${new Date(sinceMs).toISOString()}, 1 in flight`,
      'consumer b/s': 'paused, 0 in flight',
    });
    expect(JSON.stringify(details)).not.toContain('secret');
  });

  it('tells of fifty consumers at most, those in trouble first, and how many more there are', async () => {
    const { consumers, probe, registry } = await open();
    for (let number = 0; number < 53; number++) {
      await consumers.register({ id: `c${number}`, topic: `t${number}`, subscription: 's' }, () => undefined);
    }
    registry.pause('c52');
    const { details = {} } = probe.check();
    expect(Object.keys(details).filter((name) => name.startsWith('consumer '))).toHaveLength(50);
    expect(details).toMatchObject({ 'consumer c52': 'paused, 0 in flight', consumersNotShown: 3 });
  });
});

describe('PulsarRegistry', () => {
  it('pauses and resumes by id, and tells the lag of a subscription', async () => {
    const { consumers, publisher, clock, registry } = await open();
    await consumers.register({ topic: 'a', subscription: 's' }, () => undefined);
    expect([registry.pause('a/s'), registry.pause('none'), registry.resume('none')]).toEqual([true, false, false]);
    await publisher.publish('a', 1);
    await publisher.publish('a', 2);
    await clock.settle();
    await expect(registry.lag('a/s')).resolves.toBe(2);
    await expect(registry.lag('none')).resolves.toBeUndefined();
    registry.resume('a/s');
    await clock.settle();
    await expect(registry.lag('a/s')).resolves.toBe(0);
  });
});

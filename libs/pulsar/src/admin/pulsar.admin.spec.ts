import { Clock, ConfigurationError } from '@smartpulse/resilience';
import { afterEach, describe, expect, it } from 'vitest';
import { PulsarConnection } from '../connection/pulsar.connection.js';
import { resolveOptions } from '../transport/resolve-options.js';
import { startApp, type TestApp } from '../testing/test-app.js';
import { PulsarAdmin } from './pulsar.admin.js';

const opened: TestApp[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((app) => app.close()));
});

async function open(): Promise<TestApp & { readonly admin: PulsarAdmin }> {
  const app = await startApp();
  opened.push(app);
  return { ...app, admin: app.app.get(PulsarAdmin) };
}

describe('PulsarAdmin', () => {
  it('has the broker of the process on memory://, by short names', async () => {
    const { admin, consumers, publisher } = await open();
    await consumers.register({ topic: 'orders', subscription: 'billing' }, () => undefined);
    await admin.createTopic('audit');
    await publisher.publish('audit', 1);
    expect(admin.available).toBe(true);
    expect(await admin.topics()).toContain('persistent://public/default/audit');
    expect(await admin.backlog('audit', 'nobody')).toBeUndefined();
    expect(await admin.backlog('nothing', 'nobody')).toBeUndefined();
    await expect(admin.createTopic('other', 2)).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_UNSUPPORTED' });
  });

  it('refuses what is no namespace, no count and no topic', async () => {
    const { admin } = await open();
    await expect(admin.topics('nowhere')).rejects.toThrow(ConfigurationError);
    await expect(admin.createTopic('t', -1)).rejects.toThrow(ConfigurationError);
    await expect(admin.skip('t', 's', 0)).rejects.toThrow(ConfigurationError);
    await expect(admin.topicReport('a/b')).rejects.toThrow(ConfigurationError);
  });

  it('says what to set where a transport has no administration of its own', async () => {
    const { app } = await open();
    const connection = app.get(PulsarConnection);
    const bare = Object.create(connection, { transport: { value: {} } }) as typeof connection;
    const admin = new PulsarAdmin(bare, resolveOptions('test', { url: 'memory://' }), app.get(Clock));
    expect(admin.available).toBe(false);
    expect(() => admin.capabilities).toThrow(/Set adminUrl/);
    await expect(admin.tenants()).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_NO_ADMIN', kind: 'permanent' });
  });

  it.each([
    ['ftp://host', /expected http/],
    ['http://user:word@host:8080', /credentials belong to token/],
    ['http://one:8080,nonsense', /expected http/],
  ])('refuses %s as adminUrl at start, and does not show it', (adminUrl, problem) => {
    const options = { url: 'pulsar://host', namespace: 'a/b', adminUrl };
    expect(() => resolveOptions('test', options)).toThrow(problem);
    expect(() => resolveOptions('test', options)).not.toThrow(/word/);
    expect(() => resolveOptions('test', { url: 'memory://', adminUrl: 'http://host' })).toThrow(/needs none/);
  });
});

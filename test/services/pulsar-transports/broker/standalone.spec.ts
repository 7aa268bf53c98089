import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAlive } from '../../../support/process/cache-folder.js';
import { runtimeForTests } from '../../../support/pulsar/runtime.js';
import { PulsarStandalone, type StandaloneOptions } from '../../../support/pulsar/standalone.js';
import { greet } from './handshake.js';

const runtime = await runtimeForTests();

async function start(options: StandaloneOptions = {}): Promise<PulsarStandalone> {
  if (runtime === undefined) {
    throw new Error('There is no runtime: the suite is skipped then');
  }
  return PulsarStandalone.start(runtime, options);
}

describe.runIf(runtime !== undefined)('a real Pulsar standalone', () => {
  let pulsar: PulsarStandalone;

  beforeAll(async () => {
    pulsar = await start();
  });
  afterAll(async () => {
    await pulsar?.stop();
  });

  it('is healthy, and is the release that the tests are written for', async () => {
    expect(await pulsar.admin.isHealthy()).toBe(true);
    expect(await pulsar.admin.request('GET', '/admin/v2/brokers/version')).toEqual({ status: 200, text: '4.2.4' });
  });

  it('answers CONNECT with CONNECTED on its binary port', async () => {
    expect(await greet(pulsar.serviceUrl)).toEqual({
      command: 'connected',
      serverVersion: 'Pulsar Server4.2.4',
      maxMessageBytes: 5_242_880,
    });
  });

  it('creates tenants, namespaces and topics', async () => {
    await pulsar.admin.createTenant('wind');
    await pulsar.admin.createNamespace('wind/north');
    await pulsar.admin.createTopic('wind/north/forecast');
    await pulsar.admin.createTopic('wind/north/metering', 3);
    expect([...(await pulsar.admin.listTopics('wind/north'))].sort()).toEqual([
      'persistent://wind/north/forecast',
      'persistent://wind/north/metering-partition-0',
      'persistent://wind/north/metering-partition-1',
      'persistent://wind/north/metering-partition-2',
    ]);
    expect(await pulsar.admin.ownerOf('wind/north/forecast')).toBe(pulsar.serviceUrl);
    await expect(pulsar.admin.createNamespace('nobody/north')).rejects.toThrow('404');
  });

  it('serves the WebSocket API on its HTTP port', async () => {
    const socket = new WebSocket(`${pulsar.webSocketUrl}/ws/v2/producer/persistent/public/default/greetings`);
    const answer = new Promise((resolve, reject) => {
      socket.addEventListener('message', ({ data }) => {
        resolve(JSON.parse(String(data)));
      });
      socket.addEventListener('error', reject);
    });
    socket.addEventListener('open', () => {
      socket.send(JSON.stringify({ payload: '', context: 'one' }));
    });
    expect(await answer).toMatchObject({ result: 'ok', context: 'one' });
    socket.close();
  });

  it('keeps ports and data when it is killed and restarted', async () => {
    const { serviceUrl, adminUrl, pid } = pulsar;
    await pulsar.admin.createTopic('public/default/before');
    await pulsar.kill();
    await expect(greet(serviceUrl)).rejects.toThrow('ECONNREFUSED');
    expect(await pulsar.admin.isHealthy()).toBe(false);

    await pulsar.restart();
    expect(pulsar).toMatchObject({ serviceUrl, adminUrl });
    expect(pulsar.pid).not.toBe(pid);
    expect(await pulsar.admin.listTopics('public/default')).toContain('persistent://public/default/before');
    expect(await greet(serviceUrl)).toMatchObject({ command: 'connected' });
  });

  it('holds its connections while it is frozen, and goes on where it was', async () => {
    await pulsar.pause();
    const answer = greet(pulsar.serviceUrl);
    const first = await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 500, 'silence'))]);
    expect(first).toBe('silence');
    await pulsar.resume();
    expect(await answer).toMatchObject({ command: 'connected' });
  });

  it('leaves nothing behind but its log when it is stopped', async () => {
    const { pid, logFile } = pulsar;
    await pulsar.stop();
    expect(pid !== undefined && isAlive(pid)).toBe(false);
    expect(existsSync(logFile)).toBe(true);
    await expect(greet(pulsar.serviceUrl)).rejects.toThrow('ECONNREFUSED');
  });
});

describe.runIf(runtime !== undefined)('a Pulsar standalone with tokens, TLS, deduplication and small messages', () => {
  let pulsar: PulsarStandalone;

  beforeAll(async () => {
    pulsar = await start({ authentication: true, tls: true, deduplication: true, maxMessageBytes: 65_536 });
  });
  afterAll(async () => {
    await pulsar?.stop();
  });

  it('lets nobody in without a token, with an expired or with a forged one', async () => {
    const refused = { command: 'error', message: expect.stringContaining('authenticat') };
    expect(await greet(pulsar.serviceUrl)).toMatchObject(refused);
    const expired = pulsar.token({ subject: 'reader', expiresInSeconds: -60 });
    expect(await greet(pulsar.serviceUrl, { token: expired })).toMatchObject(refused);
    const valid = pulsar.token({ subject: 'reader' });
    const forged = `${valid.slice(0, valid.lastIndexOf('.'))}.${'A'.repeat(43)}`;
    expect(await greet(pulsar.serviceUrl, { token: forged })).toMatchObject(refused);
    expect(await greet(pulsar.serviceUrl, { token: valid })).toMatchObject({ command: 'connected' });
    expect(await pulsar.admin.withToken(undefined).isHealthy()).toBe(false);
  });

  it('lets a role do what it was granted, and nothing else', async () => {
    const reader = pulsar.admin.withToken(pulsar.token({ subject: 'reader' }));
    await expect(reader.listTopics('public/default')).rejects.toThrow(/403.*Unauthorized to validate/);
    await pulsar.admin.grant('public/default', 'reader', ['consume']);
    expect(await reader.listTopics('public/default')).toEqual([]);
    // The same refusal under another status.
    await expect(reader.createTenant('mine')).rejects.toThrow(/401.*Unauthorized to validate/);
  });

  it('speaks TLS to those who trust its authority, under the names of its certificate', async () => {
    const token = pulsar.token({ subject: 'reader' });
    const { serviceUrl, authority } = pulsar.tls;
    expect(await greet(serviceUrl, { token, authority })).toMatchObject({ command: 'connected' });
    const byAddress = serviceUrl.replace('localhost', '127.0.0.1');
    expect(await greet(byAddress, { token, authority })).toMatchObject({ command: 'connected' });
    await expect(greet(serviceUrl, { token })).rejects.toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  });

  it('announces its largest message', async () => {
    const token = pulsar.token({ subject: 'admin' });
    expect(await greet(pulsar.serviceUrl, { token })).toMatchObject({ maxMessageBytes: 65_536 });
  });

  it('deduplicates', async () => {
    await pulsar.admin.createTopic('public/default/once');
    expect(await pulsar.admin.topicStats('public/default/once')).toMatchObject({ deduplicationStatus: 'Enabled' });
  });
});

describe.runIf(runtime !== undefined)('a Pulsar standalone under the name of somebody else', () => {
  it('is not what a client of its address trusts', async () => {
    await using pulsar = await start({ tls: ['elsewhere.example'] });
    const { serviceUrl, authority } = pulsar.tls;
    await expect(greet(serviceUrl, { authority })).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  });
});

import { Logger } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { CacheChannel, type ChannelGap, defineTopic, RedisCacheModule } from '@smartpulse/redis-cache';
import { ResilienceModule, ShutdownCoordinator } from '@smartpulse/resilience';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FaultProxy } from '../../support/fault-proxy/fault-proxy.js';
import { everyRedisForTests } from '../../support/redis/redis-for-tests.js';
import { RedisServer } from '../../support/redis/redis-server.js';
import { siteOf } from '../../support/redis/redis-subject.js';
import { HEARTBEAT_MS, runMessagingContracts } from './messaging-contracts.js';

const programs = await everyRedisForTests();
const WAIT = { timeout: 15_000, interval: 20 };
const topic = defineTopic<number>({ owner: 'shop', name: 'signals' });

describe.each(programs)('channels on Redis $version', (program) => {
  let server: RedisServer;
  let admin: Redis;
  const apps: TestingModule[] = [];

  beforeAll(() => Logger.overrideLogger(false));
  afterAll(() => Logger.overrideLogger(true));
  beforeEach(async () => {
    server = await RedisServer.start({ program });
    admin = new Redis(server.url, { retryStrategy: () => 50 });
    admin.on('error', () => {});
  });
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.close()));
    admin.disconnect();
    await server.stop();
  });

  runMessagingContracts(`Redis ${program.version}`, () => siteOf(server));

  async function start(prefix: string, url = server.url, heartbeatMs = HEARTBEAT_MS): Promise<CacheChannel> {
    const app = await Test.createTestingModule({
      imports: [ResilienceModule.forRoot(), RedisCacheModule.forRoot({ url, prefix, heartbeatMs })],
    }).compile();
    await app.init();
    apps.push(app);
    return app.get(CacheChannel);
  }

  /** Follows the topic; `wait` resolves when `payload` was handled. */
  async function follow(channel: CacheChannel): Promise<{ heard: number[]; gaps: ChannelGap[] }> {
    const [heard, gaps]: [number[], ChannelGap[]] = [[], []];
    await channel.subscribe(topic, ({ payload }) => void heard.push(payload), { onGap: (gap) => gaps.push(gap) });
    return { heard, gaps };
  }

  it('reaches apps of other prefixes, 10,000 messages in order, and opens no connection for an app that has no message', async () => {
    const before = await connections(admin);
    // So long that a busy machine is not taken for a dead line.
    const beat = 5_000;
    const idle = await start('idle', server.url, beat);
    const cacheOnly = (await connections(admin)) - before;
    const [publisher, follower] = [await start('shop', server.url, beat), await start('bank', server.url, beat)];
    const { heard, gaps } = await follow(follower);
    const payloads = Array.from({ length: 10_000 }, (_, index) => index);
    // Not all at once: the last of them would wait for longer than a publish may take.
    for (const part of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]) {
      // oxlint-disable-next-line no-await-in-loop -- one part after the other
      await Promise.all(
        payloads.slice(part * 1_000, (part + 1) * 1_000).map((payload) => publisher.publish(topic, 'k', payload)),
      );
    }
    await expect.poll(() => heard.length, WAIT).toBe(payloads.length);
    expect(heard).toEqual(payloads);
    expect(gaps).toEqual([]);
    expect(cacheOnly).toBe(2);
    expect((await connections(admin)) - before).toBe(3 * cacheOnly + 2 * 2);
    expect(idle.stats()).toMatchObject({ published: 0, received: 0 });
  });

  it('tells the gap when the subscription was killed and stands again, and hears what follows', async () => {
    const [publisher, follower] = [await start('shop'), await start('bank')];
    const { heard, gaps } = await follow(follower);
    await publisher.publish(topic, 'k', 1);
    await expect.poll(() => heard, WAIT).toEqual([1]);
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await publisher.publish(topic, 'k', 2);
    await expect.poll(() => gaps.length, WAIT).toBeGreaterThan(0);
    expect(gaps[0]?.reason).toBe('connectionLost');
    await publisher.publish(topic, 'k', 3);
    await expect.poll(() => heard.at(-1), WAIT).toBe(3);
  });

  it('rejects while the server is down, and goes on by itself when it is back', async () => {
    const [publisher, follower] = [await start('shop'), await start('bank')];
    const { heard, gaps } = await follow(follower);
    await server.kill();
    await expect(publisher.publish(topic, 'k', 1)).rejects.toMatchObject({
      code: 'SMARTPULSE_CACHE_STORE_UNAVAILABLE',
    });
    await server.restart();
    await expect.poll(() => gaps.length, WAIT).toBeGreaterThan(0);
    await expect
      .poll(async () => {
        await publisher.publish(topic, 'k', 2).catch((error: unknown) => expect(error).toBeInstanceOf(Error));
        return heard.at(-1);
      }, WAIT)
      .toBe(2);
  });

  it('finds out by its own signs of life that a connection is half open, and takes another one', async () => {
    await using proxy = await FaultProxy.before(server.url);
    const [publisher, follower] = [await start('shop'), await start('bank', proxy.url)];
    const { heard, gaps } = await follow(follower);
    await publisher.publish(topic, 'k', 1);
    await expect.poll(() => heard, WAIT).toEqual([1]);
    const accepted = proxy.accepted;
    proxy.silence();
    await expect.poll(() => gaps.length > 0 && proxy.accepted > accepted, WAIT).toBe(true);
    await publisher.publish(topic, 'k', 2);
    await expect.poll(() => heard.at(-1), WAIT).toBe(2);
  });

  it('stops in the middle of a flood: what was taken is handled to its end, nothing begins afterwards', async () => {
    const [publisher, follower] = [await start('shop', server.url, 5_000), await start('bank', server.url, 5_000)];
    const app = apps.at(-1);
    let [begun, ended] = [0, 0];
    await follower.subscribe(
      topic,
      async () => {
        begun += 1;
        await new Promise((resolve) => setTimeout(resolve, 20));
        ended += 1;
      },
      { concurrency: 8 },
    );
    const stopped = new AbortController();
    const flood = (async () => {
      for (let sent = 0; !stopped.signal.aborted; sent++) {
        await publisher.publish(topic, `key-${sent % 50}`, sent);
      }
      return publisher.stats().published;
    })();
    await expect.poll(() => ended, WAIT).toBeGreaterThan(20);
    await app?.close();
    const { received } = follower.stats();
    const last = begun;
    await expect.poll(() => publisher.stats().published, WAIT).toBeGreaterThan(received + 100);
    stopped.abort();
    await flood;
    expect({ begun, ended }).toEqual({ begun: received, ended: received });
    expect(begun).toBe(last);
    expect(follower.stats().received).toBe(received);
    expect(app?.get(ShutdownCoordinator).report).toMatchObject({ clean: true, leftOver: 0 });
  });

  it('rejects a subscription that the server does not allow', async () => {
    await admin.call('ACL', 'SETUSER', 'limited', 'on', '>p', 'allcommands', 'allkeys', 'resetchannels', '&bank:*');
    const follower = await start('bank', server.url.replace('redis://', 'redis://limited:p@'));
    await expect(follower.subscribe(topic, () => {})).rejects.toMatchObject({
      code: 'SMARTPULSE_CACHE_STORE_UNAVAILABLE',
    });
    expect(follower.stats().subscriptions).toBe(0);
  });

  it('finds a message that vanished in the server by its number', async () => {
    const [publisher, follower] = [await start('shop'), await start('bank')];
    const { gaps } = await follow(follower);
    await publisher.publish(topic, 'k', 1);
    await expect.poll(() => follower.stats().received, WAIT).toBe(1);
    // Numbers of a process that goes on: 1, then 3.
    await admin.publish('shop:signals:!msg', '1 ghost life 1 message k 7');
    await admin.publish('shop:signals:!msg', '1 ghost life 3 message k 9');
    await expect.poll(() => gaps, WAIT).toEqual([{ reason: 'missing', source: 'ghost' }]);
  });
});

async function connections(admin: Redis): Promise<number> {
  return Number(/^connected_clients:(\d+)/m.exec(await admin.info('clients'))?.[1]);
}

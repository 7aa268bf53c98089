import { Logger } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  CacheChannel,
  type ChannelGap,
  defineTopic,
  EntryVersion,
  openRecordStore,
  RedisCacheModule,
} from '@smartpulse/redis-cache';
import { ResilienceModule } from '@smartpulse/resilience';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { RedisCluster } from '../../support/redis/redis-cluster.js';
import { RedisSentinels } from '../../support/redis/redis-sentinels.js';
import { redisForTests } from '../../support/redis/redis-for-tests.js';
import { HEARTBEAT_MS, runMessagingContracts } from './messaging-contracts.js';

const version = redisForTests();
const WAIT = { timeout: 30_000, interval: 20 };
const topic = defineTopic<number>({ owner: 'shop', name: 'signals' });
const apps: TestingModule[] = [];

async function start(prefix: string, url: string): Promise<CacheChannel> {
  const app = await Test.createTestingModule({
    imports: [ResilienceModule.forRoot(), RedisCacheModule.forRoot({ url, prefix, heartbeatMs: HEARTBEAT_MS })],
  })
    .setLogger({ log: () => {}, warn: () => {}, error: () => {} })
    .compile();
  await app.init();
  apps.push(app);
  return app.get(CacheChannel);
}

async function follow(channel: CacheChannel): Promise<{ readonly heard: number[]; readonly gaps: ChannelGap[] }> {
  const [heard, gaps]: [number[], ChannelGap[]] = [[], []];
  await channel.subscribe(topic, ({ payload }) => void heard.push(payload), { onGap: (gap) => gaps.push(gap) });
  return { heard, gaps };
}

/** Publishes until it is heard: while a set hands over, it refuses. */
async function untilHeard(publisher: CacheChannel, payload: number, heard: readonly number[]): Promise<void> {
  await expect
    .poll(async () => {
      await publisher.publish(topic, 'k', payload).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'SMARTPULSE_CACHE_STORE_UNAVAILABLE' });
      });
      return heard;
    }, WAIT)
    .toContain(payload);
}

beforeAll(() => Logger.overrideLogger(false));
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
});
afterAll(() => Logger.overrideLogger(true));

describe.runIf(version !== undefined)(`channels and records on Redis ${version} with sentinels`, () => {
  let set: RedisSentinels;

  beforeAll(async () => {
    set = await RedisSentinels.start({ replicas: 1 });
  });
  afterAll(() => set?.stop());

  runMessagingContracts('Redis by sentinels', () => ({ url: set.url, admins: async () => [set.client()] }));

  it('go on at the new master when one hands over; the gap is told, and records are there', async () => {
    const [publisher, follower] = [await start('shop', set.url), await start('bank', set.url)];
    const { heard, gaps } = await follow(follower);
    const records = await openRecordStore({ url: set.url, prefix: 'shop' });
    await records.put('position', { order: new EntryVersion(1n, 7n), text: 'kept' });
    await untilHeard(publisher, 1, heard);
    const before = (await set.master()).port;
    await set.failover();
    await expect.poll(async () => (await set.master()).port, WAIT).not.toBe(before);
    await untilHeard(publisher, 2, heard);
    // The old master still passes on what it is told: the connections may move later.
    await expect.poll(() => gaps.map(({ reason }) => reason), WAIT).toContain('connectionLost');
    await untilHeard(publisher, 3, heard);
    await expect
      .poll(() => records.get('position').catch((error: unknown) => error), WAIT)
      .toMatchObject({ text: 'kept' });
    await records.close();
  });
});

describe.runIf(version !== undefined)(`channels and records on a cluster of Redis ${version}`, () => {
  let cluster: RedisCluster;

  beforeAll(async () => {
    cluster = await RedisCluster.start({ masters: 3 });
  });
  afterAll(() => cluster?.stop());

  runMessagingContracts('Redis cluster', () => ({
    url: cluster.url,
    admins: async () => cluster.masterClients(),
  }));

  it('miss nothing while the slot of a channel and that of a record move to other masters', async () => {
    const [publisher, follower] = [await start('shop', cluster.url), await start('bank', cluster.url)];
    const { heard } = await follow(follower);
    const records = await openRecordStore({ url: cluster.url, prefix: 'shop' });
    const moved = new AbortController();
    let sent = 0;
    const publishing = (async () => {
      for (; !moved.signal.aborted || sent < 500; sent++) {
        await publisher.publish(topic, 'k', sent);
        const { outcome } = await records.put('position', {
          order: new EntryVersion(1n, BigInt(sent)),
          text: `${sent}`,
        });
        expect(outcome).toBe('stored');
      }
    })();
    for (const name of ['shop:signals:!msg', '{shop:position}:r']) {
      const owner = await cluster.ownerOf(name);
      const other = cluster.masters.find(({ id }) => id !== owner.id);
      if (other === undefined) {
        throw new Error('There are three masters.');
      }
      await cluster.moveSlot(name, other);
    }
    moved.abort();
    await publishing;
    await expect.poll(() => new Set(heard).size, WAIT).toBe(sent);
    expect(heard.length).toBe(sent);
    expect((await records.get('position'))?.text).toBe(`${sent - 1}`);
    await records.close();
  });
});

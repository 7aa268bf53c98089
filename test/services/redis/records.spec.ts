import { CacheStoreUnavailableError, EntryVersion, openRecordStore } from '@smartpulse/redis-cache';
import { Logger } from '@nestjs/common';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { redisForTests } from '../../support/redis/redis-for-tests.js';
import { RedisServer } from '../../support/redis/redis-server.js';

const version = redisForTests();
const PREFIX = 'shop';

describe.runIf(version !== undefined)(`records on Redis ${version}`, () => {
  let server: RedisServer;
  let admin: Redis;

  beforeAll(async () => {
    Logger.overrideLogger(false);
    server = await RedisServer.start({ appendOnly: true, options: { appendfsync: 'always' } });
    admin = new Redis(server.url, { retryStrategy: () => 50 });
    admin.on('error', () => {});
  });
  afterAll(async () => {
    Logger.overrideLogger(true);
    admin.disconnect();
    await server?.stop();
  });

  it('gives them a life where one is asked for, which begins anew with every write', async () => {
    const store = await openRecordStore({ url: server.url, prefix: PREFIX, lifeMs: 60_000 });
    const [first, second] = [new EntryVersion(1n, 1n), new EntryVersion(1n, 2n)];
    await store.put('passing', { order: first, text: 'a' });
    expect(await admin.pttl('{shop:passing}:r')).toBeGreaterThan(50_000);
    await admin.pexpire('{shop:passing}:r', 1_000);
    await store.replace('passing', first, { order: second, text: 'b' });
    expect(await admin.pttl('{shop:passing}:r')).toBeGreaterThan(50_000);
    await store.close();
    await expect(openRecordStore({ url: server.url, prefix: PREFIX, lifeMs: 0.5 })).rejects.toThrow('lifeMs');
  });

  it('finds them again in the next life of the server, which begins a new generation of the cache', async () => {
    const record = { order: new EntryVersion(1n, 7n), text: 'kept' };
    const store = await openRecordStore({ url: server.url, prefix: PREFIX });
    await store.put('position', record);
    await server.restart();
    await expect
      .poll(() => store.get('position').catch((error: unknown) => error), { timeout: 15_000 })
      .toEqual(record);
    expect(await admin.ttl('{shop:position}:r')).toBe(-1);
    await store.close();
    await expect(store.get('position')).rejects.toThrow(CacheStoreUnavailableError);
  });
});

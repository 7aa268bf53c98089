import { Logger } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { CacheRegistry, defineCache, EntryVersion, RedisCacheModule } from '@smartpulse/redis-cache';
import { type CachingReplica, type TwoReplicas, twoReplicasContract } from '@smartpulse/redis-cache/testing';
import { ResilienceModule } from '@smartpulse/resilience';
import { runContract } from '@smartpulse/resilience/testing';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { redisForTests } from '../../support/redis/redis-for-tests.js';
import { RedisServer } from '../../support/redis/redis-server.js';

const version = redisForTests();
const HEARTBEAT_MS = 200;
const rows = defineCache<number>({ name: 'rows', synced: true });
const at = (row: number): EntryVersion => new EntryVersion(1n, BigInt(row));

describe.runIf(version !== undefined)(`two replicas on Redis ${version}`, () => {
  let server: RedisServer;

  beforeAll(async () => {
    Logger.overrideLogger(false);
    server = await RedisServer.start();
  });
  afterAll(async () => {
    await server.stop();
    Logger.overrideLogger(true);
  });

  let runs = 0;

  async function twoApps(): Promise<TwoReplicas> {
    const prefix = `shop-${runs++}`;
    const open = async () => {
      const app = await Test.createTestingModule({
        imports: [
          ResilienceModule.forRoot(),
          RedisCacheModule.forRoot({ url: server.url, prefix, heartbeatMs: HEARTBEAT_MS }),
          RedisCacheModule.forFeature([rows]),
        ],
      }).compile();
      await app.init();
      const cache = app.get(CacheRegistry).get<number>('rows');
      const replica: CachingReplica = {
        read: async (key, load) =>
          (
            await cache.getOrLoad(key, async () => {
              const row = await load();
              return { value: row, version: at(row) };
            })
          ).value,
        committed: async (key, row) => void (await cache.invalidate(key, at(row))),
      };
      return { app, cache, replica };
    };
    const all = [await open(), await open()] as const;
    const admin = new Redis(server.url);
    return {
      replicas: [all[0].replica, all[1].replica],
      loseMessages: async () => {
        await admin.client('KILL', 'TYPE', 'PUBSUB');
        await vi.waitFor(() => expect(all.some(({ cache }) => cache.trusted)).toBe(false), { interval: 1 });
      },
      messagesAreBack: () =>
        vi.waitFor(() => expect(all.every(({ cache }) => cache.trusted)).toBe(true), { timeout: 10_000 }),
      heard: () => new Promise((resolve) => setTimeout(resolve, 100)),
      close: async () => {
        await Promise.all(all.map(({ app }) => app.close()));
        admin.disconnect();
      },
    };
  }

  runContract({ describe, it }, 'ours', twoReplicasContract(twoApps));
});

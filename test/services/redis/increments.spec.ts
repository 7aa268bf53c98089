import { resolve } from 'node:path';
import { Logger } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { CacheChannel, CacheRegistry, defineCache, defineTopic, RedisCacheModule } from '@smartpulse/redis-cache';
import { ResilienceModule } from '@smartpulse/resilience';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { StartedProcess } from '../../consumer/started-process.js';
import { redisForTests } from '../../support/redis/redis-for-tests.js';
import { RedisServer } from '../../support/redis/redis-server.js';

const ROOT = resolve(import.meta.dirname, '../../..');
const PROCESSES = 4;
const version = redisForTests();
const counters = defineCache<number>({ name: 'counters', synced: false });
const go = defineTopic<null>({ name: 'go' });

interface Told {
  readonly versions: Readonly<Record<string, readonly string[]>>;
  readonly refusals: number;
}

describe.runIf(version !== undefined)(`increments by compare-and-set on Redis ${version}`, () => {
  let server: RedisServer;
  let app: TestingModule;
  const started: StartedProcess[] = [];

  beforeAll(async () => {
    Logger.overrideLogger(false);
    server = await RedisServer.start();
    app = await Test.createTestingModule({
      imports: [
        ResilienceModule.forRoot(),
        RedisCacheModule.forRoot({ url: server.url, prefix: 'increments' }),
        RedisCacheModule.forFeature([counters]),
      ],
    }).compile();
    await app.init();
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((process) => process.clear()));
  });
  afterAll(async () => {
    Logger.overrideLogger(true);
    await app?.close();
    await server?.stop();
  });

  /** Four processes, begun at one moment; answers what each of them told. */
  async function run(writers: number, increments: number, keys: readonly string[]): Promise<readonly Told[]> {
    const processes = Array.from({ length: PROCESSES }, () => {
      const env = {
        REDIS_URL: server.url,
        WRITERS: String(writers),
        INCREMENTS: String(increments),
        KEYS: keys.join(','),
      };
      const child = new StartedProcess(
        process.execPath,
        ['test/support/process/run-source.mjs', 'test/services/redis/increments-process.ts'],
        { cwd: ROOT, env },
      );
      started.push(child);
      return child;
    });
    await Promise.all(processes.map((child) => child.until(/ready/)));
    await app.get(CacheChannel).publish(go, 'k', null);
    return await Promise.all(
      processes.map(async (child): Promise<Told> => {
        const { code, output } = await child.ended;
        expect(code, output).toBe(0);
        return JSON.parse(/told (.*)/.exec(output)?.[1] ?? '{}');
      }),
    );
  }

  it.each([
    { writers: 4, increments: 50, keys: ['one'] },
    { writers: 2, increments: 50, keys: ['a', 'b', 'c', 'd'] },
  ])(
    'N × M increments over four processes end at N·M, with the versions 1 to N·M, each once: $writers × 4 writers, $increments each, keys $keys',
    async ({ writers, increments, keys }) => {
      const told = await run(writers, increments, keys);
      const total = PROCESSES * writers * increments;
      const cache = app.get(CacheRegistry).get<number>('counters');
      const redis = new Redis(server.url);
      for (const key of keys) {
        const granted = told.flatMap(({ versions }) => versions[key] ?? []).map(Number);
        expect(granted.toSorted((a, b) => a - b)).toEqual(Array.from({ length: total }, (_, index) => index + 1));
        expect(await cache.get(key)).toMatchObject({ value: total, version: { version: BigInt(total) }, level: 'l2' });
        expect(await redis.keys(`{increments:counters:${key}}:v.*`)).toHaveLength(1);
      }
      redis.disconnect();
      // Else they never met.
      expect(told.reduce((sum, { refusals }) => sum + refusals, 0)).toBeGreaterThan(0);
    },
  );
});

import { Inject, Injectable, type LoggerService, type ModuleMetadata } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { ConfigurationError, ResilienceModule } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { EmbeddedCacheServer } from '../embedded/embedded-cache.server.js';
import { MemoryInvalidationBus } from '../embedded/memory.bus.js';
import { MemoryCacheStore } from '../embedded/memory.store.js';
import {
  InjectRedisTransactions,
  RedisCacheModule,
  type RedisCacheModuleOptions,
  RedisTransactions,
} from '../index.js';

const quiet: LoggerService = { log: () => {}, warn: () => {}, error: () => {} };

@Injectable()
class Stock {
  constructor(@Inject(RedisTransactions) readonly transactions: RedisTransactions) {}
}

@Injectable()
class Reports {
  constructor(@InjectRedisTransactions('reports') readonly transactions: RedisTransactions) {}
}

const compile = (
  options: RedisCacheModuleOptions,
  providers: NonNullable<ModuleMetadata['providers']>,
  features: readonly string[] = [],
): Promise<TestingModule> =>
  Test.createTestingModule({
    imports: [
      ResilienceModule.forRoot({ clock: new VirtualClock() }),
      RedisCacheModule.forRoot(options),
      ...features.map((connection) => RedisCacheModule.forFeature([], { connection })),
    ],
    providers,
  })
    .setLogger(quiet)
    .compile();

describe('RedisTransactions in an app', () => {
  it('are refused at start where they are injected and there is no Redis, by the option that says so, and where nobody injects them nothing is said', async () => {
    const memory = { url: 'memory://', connections: { reports: { url: 'memory://' } } };
    await (await compile(memory, [], ['reports'])).close();
    await expect(compile(memory, [Stock])).rejects.toThrow(ConfigurationError);
    await expect(compile(memory, [Stock])).rejects.toThrow(
      /option "url": transactions need a Redis, and the url is "memory:/,
    );
    await expect(compile(memory, [Reports], ['reports'])).rejects.toThrow(
      /option "connections\.reports\.url": transactions need a Redis/,
    );
    const server = new EmbeddedCacheServer({ clock: new VirtualClock() });
    const own = {
      url: 'redis://127.0.0.1:1',
      prefix: 'shop',
      store: new MemoryCacheStore(server),
      bus: new MemoryInvalidationBus(server),
    };
    await expect(compile(own, [Stock])).rejects.toThrow(/option "store": transactions need the Redis of the URL/);
    server.close();
  });

  it('have bounds only where there is a Redis, and name what is wrong with them', () => {
    const root = (options: RedisCacheModuleOptions) => () => RedisCacheModule.forRoot(options);
    expect(root({ url: 'memory://', transactions: {} })).toThrow(/option "transactions": transactions need a Redis/);
    expect(root({ url: 'memory://', connections: { reports: { url: 'memory://', transactions: {} } } })).toThrow(
      /option "connections\.reports\.transactions": transactions need a Redis/,
    );
    const redis = { url: 'redis://cache', prefix: 'shop' };
    expect(root({ ...redis, transactions: { maxConnections: 0 } })).toThrow(/option "transactions\.maxConnections"/);
    expect(root({ ...redis, transactions: { maxWaiting: 0, waitTimeoutMs: 10 } })).not.toThrow();
  });

  it('tell a module that asks for those of a connection how it comes by them', async () => {
    await expect(compile({ url: 'memory://' }, [Reports])).rejects.toThrow(
      /RedisTransactions of the connection "reports", which RedisCacheModule\.forFeature\(\[\], \{ connection: "reports" \}\) provides/,
    );
  });
});

import { Logger } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  CacheRegistry,
  CacheStoreUnavailableError,
  defineCache,
  EntryVersion,
  RedisCacheModule,
  type RedisCacheModuleOptions,
  type VersionedCache,
} from '@smartpulse/redis-cache';
import { ResilienceModule } from '@smartpulse/resilience';
import { Redis } from 'ioredis';
import type { ConnectionOptions } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificates } from '../../support/pulsar/certificates.js';
import { redisForTests } from '../../support/redis/redis-for-tests.js';
import { RedisServer } from '../../support/redis/redis-server.js';
import { startTransactions } from '../../support/redis/transaction-load.js';

const version = redisForTests();
const WAIT = { timeout: 15_000, interval: 10 };
const rows = defineCache<string>({ name: 'rows', synced: false });
const at = (stamp: number): EntryVersion => new EntryVersion(1n, BigInt(stamp));

describe.runIf(version !== undefined)(`a cache on Redis ${version} over TLS`, () => {
  const certificates = makeCertificates(['127.0.0.1']);
  const { authority: ca, certificate: cert, privateKey: key } = certificates;
  const servers: RedisServer[] = [];
  const apps: TestingModule[] = [];

  beforeAll(() => Logger.overrideLogger(false));
  afterAll(() => Logger.overrideLogger(true));
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.close()));
    await Promise.all(servers.splice(0).map((server) => server.stop()));
  });

  async function serve(of = certificates, clients = false): Promise<RedisServer> {
    const server = await RedisServer.start({ tls: { certificates: of, clients } });
    servers.push(server);
    return server;
  }

  async function open(options: Pick<RedisCacheModuleOptions, 'url' | 'client'>): Promise<VersionedCache<string>> {
    const app = await Test.createTestingModule({
      imports: [
        ResilienceModule.forRoot(),
        RedisCacheModule.forRoot({ ...options, prefix: 'shop' }),
        RedisCacheModule.forFeature([rows]),
      ],
    }).compile();
    await app.init();
    apps.push(app);
    return app.get(CacheRegistry).get<string>(rows.name);
  }

  /** What a URL cannot say an app's client does; it is never connected itself. */
  function client(server: RedisServer, tls: ConnectionOptions): Redis {
    return new Redis(urlOf(server), { lazyConnect: true, tls });
  }

  function urlOf(server: RedisServer): string {
    return `rediss://127.0.0.1:${server.tlsPort}`;
  }

  async function refusal(options: Pick<RedisCacheModuleOptions, 'url' | 'client'>): Promise<string> {
    const error: unknown = await open(options).catch((failure: unknown) => failure);
    if (!CacheStoreUnavailableError.is(error)) {
      throw new Error('The app has started.', { cause: error });
    }
    return String(error.cause);
  }

  it('runs transactions by the certificates of the app', async () => {
    const server = await serve(certificates, true);
    const app = await startTransactions({ client: client(server, { ca, cert, key }) });
    const outcome = await app.transactions.run(['stock'], async (tx) => {
      tx.queue('INCR', 'stock');
      return await tx.read('GET', 'stock');
    });
    expect(outcome).toEqual({
      outcome: 'committed',
      value: null,
      results: [{ status: 'replied', reply: 1 }],
      attempts: 1,
    });
    await app.close();
  });

  it('keeps and tells by an authority of its own, data and messages', async () => {
    const server = await serve();
    const [a, b] = [await open({ client: client(server, { ca }) }), await open({ client: client(server, { ca }) })];
    expect(await a.set('k', 'first', at(1))).toBe('applied');
    expect(await b.get('k')).toMatchObject({ value: 'first', level: 'l2' });
    expect(b.peek('k')).toBe('first');
    await a.set('k', 'second', at(2));
    await expect.poll(() => b.peek('k'), WAIT).toBeUndefined();
    expect(await b.get('k')).toMatchObject({ value: 'second', level: 'l2' });
  });

  it('does not start with an authority that nobody knows, and says why', async () => {
    const server = await serve();
    for (let attempt = 0; attempt < 5; attempt++) {
      // Each may leave a second error on its socket, which would end the process.
      expect(await refusal({ url: urlOf(server) })).toMatch(/self.signed|unable to verify/i);
    }
  });

  it('does not start with a server that is called otherwise, though the authority is known', async () => {
    const elsewhere = makeCertificates(['redis.example']);
    const server = await serve(elsewhere);
    expect(await refusal({ client: client(server, { ca: elsewhere.authority }) })).toMatch(/altnames|does not match/i);
  });

  it('shows the certificate of its client where the server asks for one, and is turned away without', async () => {
    const server = await serve(certificates, true);
    const cache = await open({ client: client(server, { ca, cert, key }) });
    expect(await cache.set('k', 'v', at(1))).toBe('applied');
    // With TLS 1.3 the server says so behind the handshake: which of its words and the reset is heard first, is a matter of luck.
    expect(await refusal({ client: client(server, { ca }) })).toMatch(
      /certificate required|alert|closed|ECONNRESET|EPIPE/i,
    );
  });
});

import { Logger } from '@nestjs/common';
import type { RedisClientTemplate } from '@smartpulse/redis-cache';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { redisForTests } from '../../support/redis/redis-for-tests.js';
import { RedisServer } from '../../support/redis/redis-server.js';
import { siteOf } from '../../support/redis/redis-subject.js';
import { startTransactions } from '../../support/redis/transaction-load.js';
import { runRedisContracts } from './redis-contracts.js';

// The workspace has ioredis 5, as TypeORM asks for. The peer range promises 6, too: with a client of it as the template, every connection of ours is one of it.
const NEXT_MAJOR = 'ioredis-6';
const version = redisForTests();

type ClientClass = new (url: string, options: object) => RedisClientTemplate & { disconnect(): void };

async function loadNextMajor(): Promise<ClientClass> {
  const loaded: unknown = await import(NEXT_MAJOR);
  const found: unknown = typeof loaded === 'object' && loaded !== null && 'Redis' in loaded ? loaded.Redis : undefined;
  if (!isClientClass(found)) {
    throw new Error(`The package ${NEXT_MAJOR} has no class Redis.`);
  }
  return found;
}

function isClientClass(candidate: unknown): candidate is ClientClass {
  return typeof candidate === 'function' && candidate.name === 'Redis';
}

describe.runIf(version !== undefined)(`by a client of ioredis 6, on Redis ${version}`, () => {
  let server: RedisServer;
  let client: InstanceType<ClientClass>;

  beforeAll(async () => {
    Logger.overrideLogger(false);
    server = await RedisServer.start();
    const Client = await loadNextMajor();
    client = new Client(server.url, { lazyConnect: true, protocol: 3, replyMapping: 'resp3' });
  });
  afterAll(async () => {
    client.disconnect();
    await server.stop();
    Logger.overrideLogger(true);
  });

  runRedisContracts('RESP3, whatever form of answers the app has chosen', () => ({ ...siteOf(server), client }));

  it('runs transactions, whose answers have the form of 5, too', async () => {
    const app = await startTransactions({ client });
    const add = () =>
      app.transactions.run(['{stock}', '{stock}:taken'], async (tx) => {
        tx.queue('HINCRBY', '{stock}', 'left', 1);
        tx.queue('HGETALL', '{stock}');
        tx.queue('INCR', '{stock}');
        return await tx.read('HGETALL', '{stock}');
      });
    await add();
    expect(await add()).toMatchObject({
      outcome: 'committed',
      value: ['left', '1'],
      results: [
        { status: 'replied', reply: 2 },
        { status: 'replied', reply: ['left', '2'] },
        { status: 'failed', error: { message: expect.stringMatching(/^WRONGTYPE/) } },
      ],
    });
    await app.close();
  });
});

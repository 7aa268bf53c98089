import { Logger } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  type AutoCache,
  CacheRegistry,
  defineCache,
  defineFieldsCache,
  EntryVersion,
  InvalidTransactionError,
  openRecordStore,
  RedisCacheModule,
  RedisTransactionRefusedError,
  RedisTransactions,
  RedisTransactionsBusyError,
  RedisTransactionUnavailableError,
  type TransactionsOptions,
} from '@smartpulse/redis-cache';
import { ResilienceModule, ResilienceRegistry } from '@smartpulse/resilience';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FaultProxy } from '../../support/fault-proxy/fault-proxy.js';
import { redisForTests } from '../../support/redis/redis-for-tests.js';
import { RedisServer } from '../../support/redis/redis-server.js';

const version = redisForTests();
const WAIT = { timeout: 15_000, interval: 20 };
const PREFIX = 'shop';
const TIMEOUT_MS = 300;
const rates = defineCache<string>({ name: 'rates', synced: false, versioning: 'auto', tagged: true });
const orders = defineCache<string>({ name: 'orders', synced: false, groupOf: (key) => key.slice(0, 1) });
const hours = defineFieldsCache<string>({ name: 'hours', synced: false });

describe.runIf(version !== undefined)(`transactions on Redis ${version}`, () => {
  let server: RedisServer;
  let admin: Redis;
  const apps: TestingModule[] = [];

  beforeAll(async () => {
    Logger.overrideLogger(false);
    server = await RedisServer.start();
    admin = new Redis(server.url);
  });
  beforeEach(() => admin.flushall());
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.close()));
  });
  afterAll(async () => {
    admin.disconnect();
    await server.stop();
    Logger.overrideLogger(true);
  });

  async function start(url: string = server.url, bounds: TransactionsOptions = {}): Promise<TestingModule> {
    const app = await Test.createTestingModule({
      imports: [
        ResilienceModule.forRoot(),
        RedisCacheModule.forRoot({
          url,
          prefix: PREFIX,
          transactions: { commandTimeoutMs: TIMEOUT_MS, ...bounds },
        }),
        RedisCacheModule.forFeature([rates, orders, hours]),
      ],
    }).compile();
    apps.push(await app.init());
    return app;
  }
  const transactionsOf = (app: TestingModule): Promise<RedisTransactions> => app.resolve(RedisTransactions);
  const add = (transactions: RedisTransactions, key: string, before: () => Promise<unknown> = async () => {}) =>
    transactions.run(
      [key],
      async (tx) => {
        const found = Number(await tx.read('GET', key));
        await before();
        tx.queue('SET', key, found + 1);
        return found + 1;
      },
      { attempts: 10_000 },
    );
  /** Connections of all clients but ours. */
  const strangers = async (): Promise<number> =>
    String(await admin.client('LIST'))
      .trim()
      .split('\n').length - 1;
  const kill = (): Promise<unknown> => admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');

  it('ends at N·M when N writers of two apps add 1 to a key M times, each by reading it first', async () => {
    const both = await Promise.all([start(), start()].map(async (app) => transactionsOf(await app)));
    let attempts = 0;
    await Promise.all(
      both.flatMap((transactions) =>
        Array.from({ length: 4 }, async () => {
          for (let done = 0; done < 50; done++) {
            const outcome = await add(transactions, 'stock:a');
            attempts += outcome.attempts;
          }
        }),
      ),
    );
    expect(await admin.get('stock:a')).toBe(String(2 * 4 * 50));
    // Else they never met.
    expect(attempts).toBeGreaterThan(400);
  });

  it('connects when it is first needed, no more often than it may, and leaves no connection behind', async () => {
    const app = await start(server.url, { maxConnections: 2, maxWaiting: 2, waitTimeoutMs: 500 });
    const transactions = await transactionsOf(app);
    const before = await strangers();
    const order: number[] = [];
    let release: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const runs = [0, 1, 2, 3, 4].map((at) =>
      transactions.run([`k${at}`], async (tx) => {
        order.push(at);
        await tx.read('GET', `k${at}`);
        await held;
        return at;
      }),
    );
    const ended = Promise.allSettled(runs);
    await expect(runs[4]).rejects.toThrow(RedisTransactionsBusyError);
    await expect.poll(strangers, WAIT).toBe(before + 2);
    await expect(runs[2]).rejects.toThrow(/none became free within 500 ms/);
    await expect(runs[3]).rejects.toThrow(RedisTransactionsBusyError);
    const later = [5, 6].map((at) => transactions.run(['k'], async () => void order.push(at)));
    release();
    await Promise.all([...later, ended]);
    // Two at a time; which of the two begins first is up to their connections.
    expect([new Set(order.slice(0, 2)), new Set(order.slice(2))]).toEqual([new Set([0, 1]), new Set([5, 6])]);
    expect(await strangers()).toBe(before + 2);
    expect(app.get(ResilienceRegistry).get('redis-cache.transactions').snapshot().bulkhead).toEqual({
      active: 0,
      waiting: 0,
    });
    await app.close();
    await expect.poll(strangers, WAIT).toBe(0);
  });

  it('changes nothing when the work throws or gives up, and leaves nothing watched', async () => {
    const transactions = await transactionsOf(await start(server.url, { maxConnections: 1 }));
    const failing = transactions.run(['a'], async (tx) => {
      tx.queue('SET', 'a', 'wrong');
      throw new Error('no stock');
    });
    await expect(failing).rejects.toThrow('no stock');
    await admin.set('a', '0');
    expect(
      await transactions.run(['a'], async (tx) => {
        tx.queue('SET', 'a', 'wrong');
        return Number(await tx.read('GET', 'a')) < 1 ? tx.abandon('none left') : 1;
      }),
    ).toEqual({ outcome: 'abandoned', reason: 'none left', attempts: 1 });
    await admin.set('a', '5');
    expect(await add(transactions, 'b')).toMatchObject({ outcome: 'committed', attempts: 1, value: 1 });
    expect(await admin.get('a')).toBe('5');
  });

  it.each([
    // Whether that is known when a connection is taken, or found out by the watch, is up to the order in which two sockets are read; the work is not asked twice.
    { moment: 'before the watch', asked: 1, attempts: [1, 2] },
    { moment: 'before the read', asked: 2, attempts: [2] },
    { moment: 'before the end', asked: 2, attempts: [2] },
  ])(
    'starts anew on another connection when its own is killed $moment, and changes everything once',
    async ({ moment, asked, attempts }) => {
      const transactions = await transactionsOf(await start());
      await add(transactions, 'a');
      if (moment === 'before the watch') {
        await kill();
      }
      let runs = 0;
      const outcome = await transactions.run(['a'], async (tx) => {
        runs += 1;
        if (runs === 1 && moment === 'before the read') {
          await kill();
        }
        const found = Number(await tx.read('GET', 'a'));
        if (runs === 1 && moment === 'before the end') {
          await kill();
        }
        tx.queue('INCR', 'a');
        return found;
      });
      expect(outcome).toMatchObject({ outcome: 'committed', value: 1, results: [{ status: 'replied', reply: 2 }] });
      expect(attempts).toContain(outcome.attempts);
      expect(runs).toBe(asked);
      expect(await admin.get('a')).toBe('2');
    },
  );

  it.each([
    { lost: 'what it sends', direction: 'toServer', after: 'before' },
    { lost: 'the answer', direction: 'toClient', after: 'after' },
  ] as const)(
    'says that it does not know when $lost is lost at the end, and sends nothing twice',
    async ({ direction, after }) => {
      await using proxy = await FaultProxy.before(server.url);
      const transactions = await transactionsOf(await start(proxy.url));
      await admin.set('a', 'before');
      let runs = 0;
      const failing = transactions.run(['a'], async (tx) => {
        runs += 1;
        await tx.read('GET', 'a');
        proxy.silence(direction);
        tx.queue('SET', 'a', 'after');
      });
      await expect(failing).rejects.toMatchObject({
        code: RedisTransactionUnavailableError.code,
        phase: 'exec',
        ambiguous: true,
      });
      expect(runs).toBe(1);
      expect(await admin.get('a')).toBe(after);
    },
  );

  it('says that it does not know when the connection breaks in the middle of the answer', async () => {
    await using proxy = await FaultProxy.before(server.url);
    const transactions = await transactionsOf(await start(proxy.url));
    const failing = transactions.run(['a'], async (tx) => {
      await tx.read('GET', 'a');
      tx.queue('INCR', 'a');
      void proxy.cutAfter('toClient', 8);
    });
    await expect(failing).rejects.toMatchObject({ phase: 'exec', ambiguous: true });
    expect(await admin.get('a')).toBe('1');
  });

  it('answers in time when the server is frozen: while it connects, and in the middle', async () => {
    const [fresh, used] = await Promise.all([start(), start()].map(async (app) => transactionsOf(await app)));
    await used?.run(['a'], async () => {});
    const outcomes: unknown[] = [];
    const timed = async (run: Promise<unknown> | undefined): Promise<void> => {
      const beginMs = performance.now();
      await expect(run).rejects.toMatchObject({ code: RedisTransactionUnavailableError.code, ambiguous: false });
      outcomes.push(performance.now() - beginMs < 1_500);
    };
    await server.freeze();
    await timed(fresh?.run(['a'], async () => {}));
    await timed(used?.run(['a'], async () => {}));
    await server.thaw();
    await timed(
      used?.run(['a'], async (tx) => {
        await server.freeze();
        await tx.read('GET', 'a');
      }),
    );
    await server.thaw();
    expect(outcomes).toEqual([true, true, true]);
    expect(await used?.run(['a'], async (tx) => tx.queue('SET', 'a', 1))).toMatchObject({ outcome: 'committed' });
  });

  it('answers for each command what became of it, and refuses as a whole what the server cannot make sense of', async () => {
    const transactions = await transactionsOf(await start());
    await admin.set('text', 'x');
    const outcome = await transactions.run(['text'], async (tx) => {
      tx.queue('lpush', 'text', 'y');
      tx.queue('HSET', 'hash', 'field', 'value', 'blob', Buffer.from([0x61, 0x62]));
      tx.queue('HGETALL', 'hash');
      await expect(tx.read('LLEN', 'text')).rejects.toThrow('WRONGTYPE');
      return await tx.read('MGET', 'text', 'none');
    });
    expect(outcome).toMatchObject({
      outcome: 'committed',
      value: ['x', null],
      results: [
        { status: 'failed', error: { message: expect.stringMatching(/^WRONGTYPE/) } },
        { status: 'replied', reply: 2 },
        { status: 'replied', reply: ['field', 'value', 'blob', 'ab'] },
      ],
    });
    const refused = transactions.run(['text'], async (tx) => {
      tx.queue('SET', 'text', 'z');
      tx.queue('SET', 'text');
    });
    await expect(refused).rejects.toThrow(RedisTransactionRefusedError);
    await expect(refused).rejects.toThrow(/the command SET .*wrong number/);
    expect(await admin.get('text')).toBe('x');
  });

  it('runs nothing for a user who may change keys and open no transaction', async () => {
    await admin.call('ACL', 'SETUSER', 'clerk', 'on', '>secret', '~*', '&*', '+@all', '-multi');
    const transactions = await transactionsOf(await start(server.url.replace('redis://', 'redis://clerk:secret@')));
    const failing = transactions.run(['a'], async (tx) => tx.queue('SET', 'a', '1'));
    await expect(failing).rejects.toMatchObject({
      phase: 'connect',
      cause: { message: expect.stringMatching(/NOPERM/) },
    });
    expect(await admin.exists('a')).toBe(0);
  });

  it('refuses every key that the caches and records have, and no other one', async () => {
    const app = await start();
    const registry = app.get(CacheRegistry);
    const records = await openRecordStore({ url: server.url, prefix: PREFIX });
    const stamp = new EntryVersion(1n, 1n);
    await registry.get<string>('orders').set('a1', 'order', stamp);
    await registry.fields<string>('hours').setFields('day', { '07': { value: '1', version: stamp } });
    const auto: AutoCache<string> = registry.auto<string>('rates');
    await auto.getOrLoad('EUR', async () => '1', { tags: ['ecb'] });
    await auto.invalidateTag('ecb');
    await records.put('position', { order: stamp, text: 'x' });
    await records.close();
    const own = await admin.keys('*');
    expect(own.length).toBeGreaterThanOrEqual(6);
    const transactions = await transactionsOf(app);
    for (const key of own) {
      await expect(
        transactions.run([key], async () => {}),
        key,
      ).rejects.toThrow(InvalidTransactionError);
      await expect(
        transactions.run(['a'], async (tx) => tx.queue('DEL', key)),
        key,
      ).rejects.toThrow(InvalidTransactionError);
    }
    for (const key of ['shop:stock:1', '{shop:42}:stock', '{shop:orders}:v', 'shop']) {
      expect(await transactions.run([key], async (tx) => tx.queue('SET', key, 1)), key).toMatchObject({
        outcome: 'committed',
      });
    }
  });
});

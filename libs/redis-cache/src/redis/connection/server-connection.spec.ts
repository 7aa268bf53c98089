import { Logger } from '@nestjs/common';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Gate } from '../../testing/test-replicas.js';
import { OfflineRedis, OfflineServer } from '../../testing/twins/offline.redis.js';
import { ServerConnection } from './server-connection.js';

describe('ServerConnection', () => {
  let clock: VirtualClock;
  let clients: OfflineRedis[];
  let changes: number;
  let isThere: boolean;
  let server: OfflineServer;
  let prepare: (redis: Redis) => Promise<void>;
  let connection: ServerConnection;

  beforeAll(() => Logger.overrideLogger(false));
  beforeEach(() => {
    clock = new VirtualClock();
    clients = [];
    changes = 0;
    isThere = true;
    server = new OfflineServer('one', clock);
    prepare = async () => {};
    connection = new ServerConnection({
      name: 'data',
      timeoutMs: 5_000,
      clock,
      random: new SeededRandom(1),
      open: () => {
        const client = new OfflineRedis(() => (isThere ? server : undefined));
        clients.push(client);
        return client;
      },
      prepare: (redis) => prepare(redis),
      onChange: () => changes++,
    });
  });
  afterEach(async () => {
    await connection.close();
    expect(clock.pendingTimers).toBe(0);
  });
  afterAll(() => Logger.overrideLogger(true));

  it('gives its client to nobody before it is settled whose life the server is in', async () => {
    const settled = new Gate<void>();
    prepare = () => settled.promise;
    const started = connection.start();
    await clock.settle();
    expect([connection.up, changes]).toEqual([undefined, 0]);
    let asked: Redis | undefined;
    const asking = connection.whenUp().then((redis) => {
      asked = redis;
    });
    await clock.settle();
    expect(asked).toBeUndefined();
    settled.open();
    await Promise.all([started, asking]);
    expect([connection.up, asked, changes]).toEqual([clients[0], clients[0], 1]);
  });

  it('settles it anew, with another client, after each loss, and gives out none meanwhile', async () => {
    await connection.start();
    const again = new Gate<void>();
    prepare = () => again.promise;
    clients[0]?.disconnect();
    expect([connection.up, changes]).toEqual([undefined, 2]);
    await clock.advance(5_000 - 1);
    expect([clients.length, connection.up]).toEqual([2, undefined]);
    again.open();
    await clock.settle();
    expect([connection.up, changes]).toEqual([clients[1], 3]);
  });

  it('gives up an attempt that is not settled in time, and tries again', async () => {
    prepare = (redis) =>
      new Promise((_, reject) => {
        redis.once('close', () => reject(new Error('It was closed.')));
      });
    const first = expect(connection.start()).rejects.toThrow('It was closed.');
    await clock.advance(5_000);
    await first;
    prepare = async () => {};
    await clock.advance(2_000);
    expect(clients).toHaveLength(2);
    expect(connection.up).toBe(clients[1]);
  });

  it('rejects when nobody is there, tries again by itself, ever less often, and is used when somebody is', async () => {
    isThere = false;
    await expect(connection.start()).rejects.toThrow('Nobody is there.');
    await clock.advance(1_000);
    const early = clients.length;
    await clock.advance(10_000);
    const late = clients.length - early;
    expect(early).toBeGreaterThan(2);
    expect(late / 10).toBeLessThan(early);
    isThere = true;
    await clock.advance(2_000);
    expect(connection.up).toBe(clients.at(-1));
  });

  it('waits for no server at its end longer than a moment', async () => {
    await connection.start();
    const silent = connection.parting(new Promise(() => {}));
    await clock.advance(500);
    await silent;
    await connection.close();
    expect(connection.up).toBeUndefined();
    await expect(connection.start()).rejects.toThrow('closed');
  });
});

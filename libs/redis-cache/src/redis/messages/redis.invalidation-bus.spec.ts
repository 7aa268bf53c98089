import { Logger } from '@nestjs/common';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { InvalidationListener } from '../../invalidation/invalidation.bus.js';
import { CacheStoreUnavailableError } from '../../redis-cache.errors.js';
import { Gate } from '../../testing/test-replicas.js';
import { OfflineRedis, OfflineServer } from '../../testing/twins/offline.redis.js';
import { RedisLink } from '../connection/redis.link.js';
import { RedisInvalidationBus } from './redis.invalidation-bus.js';

const HEARTBEAT_MS = 5_000;
const CHANNEL = 'shop:rows:!inv';

class Heard implements InvalidationListener {
  readonly said: string[] = [];

  onMessage({ action, key }: { readonly action: string; readonly key: string }): void {
    this.said.push(`${action} ${key}`);
  }

  onUntrusted(): void {
    this.said.push('untrusted');
  }

  onTrusted(): void {
    this.said.push('trusted');
  }
}

describe('RedisInvalidationBus', () => {
  let clock: VirtualClock;
  let server: OfflineServer;
  let links: RedisLink[];
  let one: Heard;
  let other: Heard;

  beforeAll(() => Logger.overrideLogger(false));
  beforeEach(() => {
    [clock, one, other, links] = [new VirtualClock(), new Heard(), new Heard(), []];
    server = new OfflineServer('one', clock);
  });
  afterEach(async () => {
    await Promise.all(links.map((link) => link.close()));
  });
  afterAll(() => Logger.overrideLogger(true));

  /** A process of its own. */
  async function process(): Promise<{ readonly link: RedisLink; readonly bus: RedisInvalidationBus }> {
    const link = new RedisLink({
      client: new OfflineRedis(() => server),
      prefix: 'shop',
      connectTimeoutMs: 5_000,
      heartbeatMs: HEARTBEAT_MS,
      clock,
      random: new SeededRandom(links.length + 1),
    });
    links.push(link);
    const bus = new RedisInvalidationBus(link, clock, HEARTBEAT_MS);
    await link.connect();
    return { link, bus };
  }

  it('starts also where the connection is lost before the server has acknowledged, and trusts when another one has', async () => {
    const { bus } = await process();
    const acknowledged = new Gate<void>();
    server.weather = (name) => (name === 'subscribe' ? acknowledged.promise : undefined);
    const subscribing = bus.subscribe(CHANNEL, one);
    await clock.settle();
    server.weather = () => {};
    server.dropAll();
    acknowledged.open();
    const subscription = await subscribing;
    expect(one.said).toEqual([]);
    await clock.advance(1_000);
    expect(one.said).toEqual(['trusted']);
    await subscription.close();
  });

  it('has the second listener of a channel wait for the acknowledgement, too', async () => {
    const { bus } = await process();
    const acknowledged = new Gate<void>();
    server.weather = (name) => (name === 'subscribe' ? acknowledged.promise : undefined);
    let done = 0;
    const both = [one, other].map(async (listener) => {
      const subscription = await bus.subscribe(CHANNEL, listener);
      done++;
      return subscription;
    });
    await clock.settle();
    expect(done).toBe(0);
    acknowledged.open();
    await Promise.all((await Promise.all(both)).map((subscription) => subscription.close()));
    expect([one.said, other.said]).toEqual([['trusted'], ['trusted']]);
  });

  it('says by an error of its own that the server refuses, to everybody who asks, and leaves nothing behind', async () => {
    const { bus } = await process();
    server.weather = (name) => {
      if (name === 'subscribe') {
        throw new Error('NOPERM this user has no permissions to access one of the channels');
      }
    };
    const both = [bus.subscribe(CHANNEL, one), bus.subscribe(CHANNEL, other)];
    expect(await Promise.allSettled(both)).toMatchObject(
      both.map(() => ({ status: 'rejected', reason: expect.any(CacheStoreUnavailableError) })),
    );
    server.weather = () => {};
    const subscription = await bus.subscribe(CHANNEL, one);
    expect([one.said, other.said]).toEqual([['trusted'], []]);
    await subscription.close();
  });

  describe('and a message that is lost while the line stands', () => {
    const evict = (link: RedisLink, key: string): Promise<unknown> =>
      link.tell('smartpulseEvict', key, { channel: CHANNEL, source: 'n' });
    const lost = async (link: RedisLink, key: string): Promise<void> => {
      server.loses = (text) => text.includes(` evict - ${key}`);
      await evict(link, key);
      server.loses = () => false;
    };

    it('is noticed by the next one of its process, and by the next sign of life', async () => {
      const [{ bus }, { link }] = [await process(), await process()];
      const subscription = await bus.subscribe(CHANNEL, one);
      await evict(link, 'a');
      await lost(link, 'b');
      await evict(link, 'c');
      expect(one.said.splice(0)).toEqual(['trusted', 'evict a', 'untrusted', 'trusted', 'evict c']);
      await lost(link, 'd');
      await clock.advance(HEARTBEAT_MS);
      expect(one.said).toEqual(['untrusted', 'trusted']);
      await subscription.close();
    });

    it('is covered, too, where it was the first after the subscription of a process that was there before: by dropping all once everybody has been heard of', async () => {
      const [{ bus }, { link }] = [await process(), await process()];
      await evict(link, 'a');
      const subscription = await bus.subscribe(CHANNEL, one);
      await lost(link, 'b');
      await evict(link, 'c');
      expect(one.said).toEqual(['trusted', 'evict c']);
      await clock.advance(3 * HEARTBEAT_MS);
      expect(one.said.splice(0)).toEqual(['trusted', 'evict c', 'trusted']);
      // Once, whatever goes on.
      await evict(link, 'd');
      await clock.advance(10 * HEARTBEAT_MS);
      expect(one.said).toEqual(['evict d']);
      await subscription.close();
    });

    it('is noticed, too, where it was the first of a process that has just begun', async () => {
      const { bus } = await process();
      const subscription = await bus.subscribe(CHANNEL, one);
      await clock.advance(3 * HEARTBEAT_MS);
      const { link } = await process();
      await lost(link, 'a');
      await evict(link, 'b');
      expect(one.said.splice(0)).toEqual(['trusted', 'untrusted', 'trusted', 'evict b']);
      const { link: next } = await process();
      await lost(next, 'a');
      await clock.advance(HEARTBEAT_MS);
      expect(one.said).toEqual(['untrusted', 'trusted']);
      await subscription.close();
    });

    it('is none where processes come and go, the connection is another one, or nobody has said anything: no first level is dropped for nothing', async () => {
      const { bus, link } = await process();
      const subscription = await bus.subscribe(CHANNEL, one);
      await evict(link, 'own');
      await clock.advance(3 * HEARTBEAT_MS);
      for (const key of ['a', 'b', 'c']) {
        const { link: other } = await process();
        await clock.advance(HEARTBEAT_MS);
        await evict(other, key);
        await other.close();
      }
      expect(one.said.splice(0)).toEqual(['trusted', 'evict own', 'evict a', 'evict b', 'evict c']);
      server.dropAll();
      await clock.advance(10 * HEARTBEAT_MS);
      expect(one.said).toEqual(['untrusted', 'trusted']);
      await subscription.close();
    });
  });
});

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
});

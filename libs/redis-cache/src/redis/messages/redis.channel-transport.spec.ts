import { Logger } from '@nestjs/common';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ChannelListener } from '../../channel/channel.transport.js';
import { CacheStoreUnavailableError } from '../../redis-cache.errors.js';
import { OfflineRedis, OfflineServer } from '../../testing/twins/offline.redis.js';
import { RedisLink } from '../connection/redis.link.js';
import { RedisChannelTransport } from './redis.channel-transport.js';

class Heard implements ChannelListener {
  readonly said: string[] = [];

  onStanding(): void {
    this.said.push('standing');
  }

  onLost(): void {
    this.said.push('lost');
  }

  onText(text: string): void {
    this.said.push(text);
  }
}

describe('RedisChannelTransport', () => {
  let clock: VirtualClock;
  let server: OfflineServer;
  let transport: RedisChannelTransport;
  let one: Heard;
  let other: Heard;

  beforeAll(() => Logger.overrideLogger(false));
  beforeEach(async () => {
    [clock, one, other] = [new VirtualClock(), new Heard(), new Heard()];
    server = new OfflineServer('one', clock);
    const link = new RedisLink({
      client: new OfflineRedis(() => server),
      prefix: 'shop',
      connectTimeoutMs: 5_000,
      heartbeatMs: 5_000,
      clock,
      random: new SeededRandom(1),
    });
    transport = new RedisChannelTransport(link);
    await link.connect();
  });
  afterEach(async () => {
    await transport.close();
    expect(clock.pendingTimers).toBe(0);
  });
  afterAll(() => Logger.overrideLogger(true));

  const refuses = (name: string): void => {
    if (name === 'subscribe') {
      throw new Error('NOPERM this user has no permissions to access one of the channels');
    }
  };

  it('tells everybody who waits for a channel that it was refused, and begins anew for who asks again', async () => {
    server.weather = refuses;
    const both = await Promise.allSettled([transport.subscribe('c', one), transport.subscribe('c', other)]);
    expect(
      both.map((attempt) => attempt.status === 'rejected' && CacheStoreUnavailableError.is(attempt.reason)),
    ).toEqual([true, true]);
    server.weather = () => {};
    await transport.subscribe('c', one);
    await transport.publish('c', 'text');
    expect([one.said, other.said]).toEqual([['standing', 'text'], []]);
  });

  it('tells so, too, who has waited for a connection, and leaves it to the next one for those who were subscribed before', async () => {
    await transport.subscribe('c', one);
    server.dropAll();
    const waiting = transport.subscribe('c', other);
    server.weather = refuses;
    const refused = expect(waiting).rejects.toThrow(CacheStoreUnavailableError);
    await clock.advance(5_000);
    await refused;
    server.weather = () => {};
    server.dropAll();
    await clock.advance(5_000);
    expect([one.said, other.said]).toEqual([['standing', 'lost', 'standing'], []]);
  });
});

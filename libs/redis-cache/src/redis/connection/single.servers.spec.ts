import { Logger } from '@nestjs/common';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { OfflineRedis, OfflineServer } from '../../testing/twins/offline.redis.js';
import { RedisLink } from './redis.link.js';

const HEARTBEAT_MS = 5_000;
const CHANNEL = 'shop:rows:!inv';

describe('one server, and another one after it', () => {
  let clock: VirtualClock;
  let server: OfflineServer;
  let link: RedisLink;

  beforeAll(() => Logger.overrideLogger(false));
  beforeEach(async () => {
    clock = new VirtualClock();
    server = new OfflineServer('one', clock);
    link = new RedisLink({
      client: new OfflineRedis(() => server),
      prefix: 'shop',
      connectTimeoutMs: 5_000,
      heartbeatMs: HEARTBEAT_MS,
      clock,
      random: new SeededRandom(1),
    });
    await link.connect();
  });
  afterEach(async () => {
    await link.close();
    expect(clock.pendingTimers).toBe(0);
  });
  afterAll(() => Logger.overrideLogger(true));

  /** The master ends, and another one is in its place, which holds what it held at the moment `before`. */
  function failOver(next: OfflineServer): OfflineServer {
    const before = server;
    server = next;
    before.dropAll();
    return next;
  }

  const evictions = (of: OfflineServer): number => of.published.filter((text) => text.includes(' evict - ')).length;

  it('evicts at a new master what was changed lately, also when that failed at first, and before anybody reads there', async () => {
    await link.tell('smartpulseEvict', 'k', { channel: CHANNEL, source: 'n1' });
    const next = failOver(server.copy('two'));
    let failures = 2;
    next.weather = (name) => {
      if (name === 'evalsha' && failures-- > 0) {
        throw new Error('Connection is closed.');
      }
    };
    let read = false;
    const reading = clock.until(() => link.whole).then(() => (read = true));
    await clock.advance(20);
    expect([read, evictions(next)]).toEqual([false, 0]);
    await clock.advance(10_000);
    await reading;
    expect([read, failures < 0, evictions(next)]).toEqual([true, true, 1]);
  });

  it('does so, too, where the server became another one while the connection stands', async () => {
    await clock.advance(50_000);
    await link.tell('smartpulseEvict', 'k', { channel: CHANNEL, source: 'n1' });
    server.life = 'two';
    await clock.advance(10_000);
    expect(evictions(server)).toBe(2);
    await clock.advance(60_000);
    expect(evictions(server)).toBe(2);
  });

  it('ends lives by the clock of the new master from its first moment on', async () => {
    const before = link.nowMs();
    const next = server.copy('two');
    next.aheadMs = 40_000;
    failOver(next);
    await clock.advance(2_000);
    expect(link.whole).toBe(true);
    expect(link.nowMs() - before).toBeCloseTo(42_000, 0);
  });
});

import { Logger } from '@nestjs/common';
import { ConfigurationError } from '@smartpulse/resilience';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import * as fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EmbeddedCacheServer } from '../embedded/embedded-cache.server.js';
import { MemoryChannelTransport } from '../embedded/memory.channel-transport.js';
import {
  CacheChannelClosedError,
  CachePayloadTooLargeError,
  CacheStoreUnavailableError,
  CacheValueNotEncodableError,
  InvalidCacheKeyError,
} from '../redis-cache.errors.js';
import { Gate } from '../testing/test-replicas.js';
import { LossyChannelTransport } from '../testing/twins/lossy.channel-transport.js';
import { CacheChannel } from './cache.channel.js';
import { defineTopic } from './cache-topic.js';
import type { ChannelGap } from './channel-message.js';

const HEARTBEAT_MS = 1_000;
const numbers = defineTopic<number>({ owner: 'shop', name: 'numbers' });

/** Apps with a channel each, on one server and a clock that stands still. */
class Apps {
  readonly clock = new VirtualClock();
  readonly server = new EmbeddedCacheServer({ clock: this.clock });
  readonly #channels: CacheChannel[] = [];

  add(
    prefix = 'shop',
    open?: () => Promise<LossyChannelTransport>,
  ): { channel: CacheChannel; line: LossyChannelTransport } {
    const line = new LossyChannelTransport(new MemoryChannelTransport(this.server));
    const channel = new CacheChannel({
      open: open ?? (async () => line),
      prefix,
      source: `app-${this.#channels.length}`,
      heartbeatMs: HEARTBEAT_MS,
      clock: this.clock,
      random: new SeededRandom(this.#channels.length + 1),
    });
    this.#channels.push(channel);
    return { channel, line };
  }

  async close(): Promise<void> {
    await Promise.all(this.#channels.map((channel) => channel.close()));
    this.server.close();
    expect(this.clock.pendingTimers).toBe(0);
  }
}

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(true));

describe('CacheChannel', () => {
  let apps: Apps;
  let gaps: ChannelGap['reason'][];
  const onGap = ({ reason }: ChannelGap): void => void gaps.push(reason);

  beforeEach(() => {
    apps = new Apps();
    gaps = [];
  });
  afterEach(() => apps.close());

  it('reaches every follower of the topic, in the publishing app too', async () => {
    const [one, two] = [apps.add(), apps.add('other')];
    const heard: unknown[] = [];
    await one.channel.subscribe(
      numbers,
      ({ key, payload, source, own }) => void heard.push([key, payload, source, own]),
    );
    await two.channel.subscribe(
      numbers,
      ({ key, payload, source, own }) => void heard.push([key, payload, source, own]),
    );
    await one.channel.publish(numbers, 'k', 7);
    await apps.clock.settle();
    expect(heard).toEqual([
      ['k', 7, 'app-0', true],
      ['k', 7, 'app-0', false],
    ]);
    expect(one.channel.stats()).toMatchObject({ published: 1, received: 1, handled: 1, subscriptions: 1, standing: 1 });
  });

  it('keeps a topic without an owner to the apps of one prefix', async () => {
    const mine = defineTopic<number>({ name: 'mine' });
    const heard: string[] = [];
    const [publisher, same, other] = [apps.add('shop'), apps.add('shop'), apps.add('bank')];
    await same.channel.subscribe(mine, () => void heard.push('same'));
    await other.channel.subscribe(mine, () => void heard.push('other'));
    await publisher.channel.publish(mine, 'k', 1);
    await apps.clock.settle();
    expect(heard).toEqual(['same']);
  });

  it('runs one handler per key at a time, in the order of publication, and other keys beside it', async () => {
    const { channel } = apps.add();
    const [first, begun, ended] = [new Gate<void>(), [] as string[], [] as string[]];
    await channel.subscribe(numbers, async ({ key, payload }) => {
      begun.push(`${key}${payload}`);
      if (key === 'a' && payload === 1) {
        await first.promise;
      }
      ended.push(`${key}${payload}`);
    });
    await Promise.all([
      channel.publish(numbers, 'a', 1),
      channel.publish(numbers, 'a', 2),
      channel.publish(numbers, 'b', 1),
      channel.publish(numbers, 'a', 3),
    ]);
    await apps.clock.settle();
    expect(begun).toEqual(['a1', 'b1']);
    first.open();
    await apps.clock.settle();
    expect(ended.filter((text) => text.startsWith('a'))).toEqual(['a1', 'a2', 'a3']);
  });

  it('goes on with a key whose handler threw, and counts it', async () => {
    const { channel } = apps.add();
    const heard: number[] = [];
    await channel.subscribe(numbers, ({ payload }) => {
      if (payload === 1) {
        throw new Error('It fails.');
      }
      heard.push(payload);
    });
    await channel.publish(numbers, 'k', 1);
    await channel.publish(numbers, 'k', 2);
    await apps.clock.settle();
    expect(heard).toEqual([2]);
    expect(channel.stats()).toMatchObject({ handled: 1, failed: 1 });
  });

  describe('says that messages may be missing', () => {
    it('before the message behind them is handled', async () => {
      const [publisher, follower] = [apps.add(), apps.add()];
      const heard: unknown[] = [];
      await follower.channel.subscribe(numbers, ({ payload }) => void heard.push(payload), {
        onGap: (gap) => heard.push(gap),
      });
      await publisher.channel.publish(numbers, 'k', 1);
      await apps.clock.settle();
      follower.line.deafen();
      await publisher.channel.publish(numbers, 'k', 2);
      await apps.clock.settle();
      follower.line.undeafen();
      await publisher.channel.publish(numbers, 'k', 3);
      await apps.clock.settle();
      expect(heard).toEqual([1, { reason: 'missing', source: 'app-0' }, 3]);
    });

    it('at the next sign of life, where no message follows them', async () => {
      const [publisher, follower] = [apps.add(), apps.add()];
      await follower.channel.subscribe(numbers, () => {}, { onGap });
      await publisher.channel.publish(numbers, 'k', 1);
      await apps.clock.settle();
      follower.line.deafen();
      await publisher.channel.publish(numbers, 'k', 2);
      await apps.clock.settle();
      follower.line.undeafen();
      expect(gaps).toEqual([]);
      await apps.clock.advance(HEARTBEAT_MS);
      expect(gaps).toEqual(['missing']);
      await apps.clock.advance(10 * HEARTBEAT_MS);
      expect(gaps).toEqual(['missing']);
    });

    it('once the subscription stands again, not while it is still lost: what is read anew then misses nothing', async () => {
      const { channel, line } = apps.add();
      const subscription = await channel.subscribe(numbers, () => {}, { onGap });
      line.cut();
      expect(subscription.standing).toBe(false);
      expect(gaps).toEqual([]);
      line.mend();
      expect(subscription.standing).toBe(true);
      expect(gaps).toEqual(['connectionLost']);
    });

    it('once per loss: what was published meanwhile is not told a second time by its numbers', async () => {
      const [publisher, follower] = [apps.add(), apps.add()];
      await follower.channel.subscribe(numbers, () => {}, { onGap });
      await publisher.channel.publish(numbers, 'k', 1);
      await apps.clock.settle();
      follower.line.cut();
      await publisher.channel.publish(numbers, 'k', 2);
      await apps.clock.settle();
      follower.line.mend();
      await publisher.channel.publish(numbers, 'k', 3);
      await apps.clock.advance(2 * HEARTBEAT_MS);
      expect(gaps).toEqual(['connectionLost']);
    });

    it('when not even its own signs of life come back: it takes another connection', async () => {
      const { channel, line } = apps.add();
      const subscription = await channel.subscribe(numbers, () => {}, { onGap });
      await apps.clock.advance(20 * HEARTBEAT_MS);
      expect(line.renewed).toBe(0);
      line.deafen();
      await apps.clock.advance(5 * HEARTBEAT_MS);
      expect(line.renewed).toBe(1);
      expect(gaps).toEqual(['connectionLost']);
      expect(subscription.standing).toBe(true);
    });

    it('when more came than the handler could take: before the next message that finds room', async () => {
      const { channel } = apps.add();
      const [gate, heard] = [new Gate<void>(), [] as unknown[]];
      await channel.subscribe(
        numbers,
        async ({ payload }) => {
          await gate.promise;
          heard.push(payload);
        },
        { capacity: 2, onGap: (gap) => heard.push(gap) },
      );
      for (const payload of [1, 2, 3, 4]) {
        await channel.publish(numbers, 'k', payload);
      }
      await apps.clock.settle();
      expect(channel.stats()).toMatchObject({ dropped: 2 });
      gate.open();
      await apps.clock.settle();
      expect(heard).toEqual([1, 2, { reason: 'overflow', dropped: 2 }]);
      await channel.publish(numbers, 'k', 5);
      await apps.clock.settle();
      expect(heard.slice(3)).toEqual([5]);
    });

    it('when a message cannot be read', async () => {
      const strict = defineTopic<number>({
        owner: 'shop',
        name: 'strict',
        codec: {
          encode: String,
          decode: () => {
            throw new TypeError('It is no number.');
          },
        },
      });
      const { channel } = apps.add();
      await channel.subscribe(strict, () => {}, { onGap });
      await channel.publish(strict, 'k', 1);
      await apps.server.listen('x', { onMessage: () => {}, onTrusted: () => {}, onUntrusted: () => {} });
      apps.server.publishText('shop:strict:!msg', 'something else');
      await apps.clock.settle();
      expect(gaps).toEqual(['unreadable', 'unreadable']);
    });

    it('and goes on when onGap itself throws', async () => {
      const { channel, line } = apps.add();
      const heard: number[] = [];
      await channel.subscribe(numbers, ({ payload }) => void heard.push(payload), {
        onGap: () => {
          throw new Error('It fails.');
        },
      });
      line.cut();
      line.mend();
      await channel.publish(numbers, 'k', 1);
      await apps.clock.settle();
      expect(heard).toEqual([1]);
    });
  });

  it('rejects what the server did not take, at once or in time, and followers are told of the gap', async () => {
    const [publisher, follower] = [apps.add(), apps.add()];
    await follower.channel.subscribe(numbers, () => {}, { onGap });
    await publisher.channel.publish(numbers, 'k', 1);
    publisher.line.refuse(new Error('There is no connection.'));
    await expect(publisher.channel.publish(numbers, 'k', 2)).rejects.toThrow(CacheStoreUnavailableError);
    publisher.line.refuse(undefined);
    await publisher.channel.publish(numbers, 'k', 3);
    await apps.clock.settle();
    expect(gaps).toEqual(['missing']);
    expect(publisher.channel.stats()).toMatchObject({ published: 2, publishFailures: 1 });

    const late = apps.add('shop', () => new Promise(() => {}));
    const publishing = late.channel.publish(numbers, 'k', 4);
    const rejected = expect(publishing).rejects.toThrow(CacheStoreUnavailableError);
    await apps.clock.advance(numbers.publishTimeoutMs);
    await rejected;
  });

  it('refuses at the call what can never travel', async () => {
    const { channel } = apps.add();
    const small = defineTopic<unknown>({ owner: 'shop', name: 'small', maxPayloadBytes: 10 });
    await expect(channel.publish(small, 'a b', 1)).rejects.toThrow(InvalidCacheKeyError);
    await expect(channel.publish(small, 'k', 'longer than that')).rejects.toThrow(CachePayloadTooLargeError);
    await expect(channel.publish(small, 'k', 1n)).rejects.toThrow(CacheValueNotEncodableError);
    await expect(channel.subscribe(small, () => {}, { capacity: 0 })).rejects.toThrow(ConfigurationError);
    await expect(channel.subscribe(defineTopic({ owner: 'shop', name: 'small' }), () => {})).rejects.toThrow(
      'two different topics are named "small"',
    );
    expect(() => defineTopic({ name: 'a:b' })).toThrow(ConfigurationError);
  });

  it('tries again when the transport could not be opened', async () => {
    const line = new LossyChannelTransport(new MemoryChannelTransport(apps.server));
    let attempts = 0;
    const { channel } = apps.add('shop', async () => {
      attempts += 1;
      if (attempts === 1) {
        throw new Error('There is no server.');
      }
      return line;
    });
    await expect(channel.subscribe(numbers, () => {})).rejects.toThrow('There is no server.');
    await channel.subscribe(numbers, () => {});
    expect(attempts).toBe(2);
    expect(channel.stats()).toMatchObject({ subscriptions: 1, standing: 1 });
  });

  it('closes a transport that opens only after the app has stopped, and does not wait for it', async () => {
    const opening = new Gate<LossyChannelTransport>();
    const { channel } = apps.add('shop', () => opening.promise);
    const line = new LossyChannelTransport(new MemoryChannelTransport(apps.server));
    const publishing = expect(channel.publish(numbers, 'k', 1)).rejects.toThrow(CacheChannelClosedError);
    await channel.close();
    opening.open(line);
    await publishing;
    expect(line.closed).toBe(true);
  });

  it('leaves no subscription behind that came to stand only after the intake had ended', async () => {
    const opening = new Gate<LossyChannelTransport>();
    const { channel } = apps.add('shop', () => opening.promise);
    const subscribing = channel.subscribe(numbers, () => {});
    await channel.endIntake();
    opening.open(new LossyChannelTransport(new MemoryChannelTransport(apps.server)));
    expect((await subscribing).standing).toBe(false);
    expect(apps.server.stats().subscribers).toBe(0);
  });

  it('hands over nothing more once a subscription is closed, and waits for the handler that runs', async () => {
    const { channel } = apps.add();
    const [gate, heard] = [new Gate<void>(), [] as number[]];
    const subscription = await channel.subscribe(numbers, async ({ payload }) => {
      await gate.promise;
      heard.push(payload);
    });
    await channel.publish(numbers, 'k', 1);
    await apps.clock.settle();
    let closed = false;
    const closing = subscription.close().then(() => {
      closed = true;
    });
    await channel.publish(numbers, 'k', 2);
    await apps.clock.settle();
    expect(closed).toBe(false);
    gate.open();
    await closing;
    expect(heard).toEqual([1]);
    expect(channel.stats().subscriptions).toBe(0);
  });

  it('takes nothing new while it stops, finishes what it took, still publishes for the others, and then refuses', async () => {
    const [stopping, other] = [apps.add(), apps.add()];
    const [gate, heard, elsewhere] = [new Gate<void>(), [] as number[], [] as number[]];
    await stopping.channel.subscribe(numbers, async ({ payload }) => {
      await gate.promise;
      heard.push(payload);
      await stopping.channel.publish(numbers, 'answer', payload);
    });
    await other.channel.subscribe(numbers, ({ key, payload }) => {
      if (key === 'answer') {
        elsewhere.push(payload);
      }
    });
    await other.channel.publish(numbers, 'k', 1);
    await apps.clock.settle();
    await stopping.channel.endIntake();
    await other.channel.publish(numbers, 'k', 2);
    await expect(stopping.channel.subscribe(numbers, () => {})).rejects.toThrow(CacheChannelClosedError);
    const drained = stopping.channel.drain({ timeoutMs: 1_000 });
    await apps.clock.settle();
    gate.open();
    expect(await drained).toBe(0);
    await stopping.channel.close();
    await apps.clock.settle();
    expect(heard).toEqual([1]);
    expect(elsewhere).toEqual([1]);
    await expect(stopping.channel.publish(numbers, 'k', 3)).rejects.toThrow(CacheChannelClosedError);
  });

  it('reports what it could not finish in time, and tells the handler', async () => {
    const { channel } = apps.add();
    let told = false;
    await channel.subscribe(numbers, (_message, { signal }) => {
      signal.addEventListener('abort', () => (told = true));
      return new Promise(() => {});
    });
    await channel.publish(numbers, 'k', 1);
    await channel.publish(numbers, 'k', 2);
    await apps.clock.settle();
    await channel.endIntake();
    const drained = channel.drain({ timeoutMs: 50 });
    await apps.clock.advance(50);
    expect(await drained).toBe(2);
    expect(told).toBe(true);
  });
});

type Step = 'publish' | 'deafen' | 'undeafen' | 'cut' | 'mend' | 'beat' | 'settle';

describe('CacheChannel, whatever happens to the line', () => {
  it('hands each key over in order, and tells a gap wherever a message is missing', async () => {
    const step = fc.constantFrom<Step>(
      'publish',
      'publish',
      'publish',
      'deafen',
      'undeafen',
      'cut',
      'mend',
      'beat',
      'settle',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(step, fc.constantFrom('a', 'b')), { maxLength: 60 }), async (steps) => {
        const apps = new Apps();
        const [publisher, follower] = [apps.add(), apps.add()];
        const heard: { key: string; payload: number }[] = [];
        let gaps = 0;
        await follower.channel.subscribe(numbers, ({ key, payload }) => void heard.push({ key, payload }), {
          onGap: () => (gaps += 1),
        });
        // A source that was never heard of is taken as it comes.
        await publisher.channel.publish(numbers, 'a', 0);
        await apps.clock.settle();
        let published = 0;
        const run: Record<Step, (key: string) => Promise<void> | void> = {
          publish: (key) => publisher.channel.publish(numbers, key, (published += 1)),
          deafen: () => follower.line.deafen(),
          undeafen: () => follower.line.undeafen(),
          cut: () => follower.line.cut(),
          mend: () => follower.line.mend(),
          beat: () => apps.clock.advance(HEARTBEAT_MS),
          settle: () => apps.clock.settle(),
        };
        for (const [what, key] of steps) {
          await run[what](key);
        }
        follower.line.undeafen();
        follower.line.mend();
        await apps.clock.advance(5 * HEARTBEAT_MS);
        for (const one of ['a', 'b']) {
          const payloads = heard.filter(({ key }) => key === one).map(({ payload }) => payload);
          expect(payloads).toEqual([...payloads].sort((x, y) => x - y));
        }
        expect(new Set(heard.map(({ payload }) => payload)).size).toBe(heard.length);
        expect(heard.length === published + 1 || gaps > 0).toBe(true);
        await apps.close();
      }),
      { numRuns: 300 },
    );
  });
});

import { Logger } from '@nestjs/common';
import { pollSignalContract } from '@smartpulse/cdc/testing';
import { CacheChannel } from '@smartpulse/redis-cache';
import { EmbeddedCacheServer, MemoryChannelTransport } from '@smartpulse/redis-cache/embedded';
import { LossyChannelTransport } from '@smartpulse/redis-cache/testing';
import { runContract, SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ChannelPollSignal } from './channel.poll-signal.js';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(true));

/** Replicas of one app on one server. */
class Replicas {
  readonly clock = new VirtualClock();
  readonly server = new EmbeddedCacheServer({ clock: this.clock });
  readonly #channels: CacheChannel[] = [];

  add(): { signal: ChannelPollSignal; channel: CacheChannel; line: LossyChannelTransport } {
    const line = new LossyChannelTransport(new MemoryChannelTransport(this.server));
    const channel = new CacheChannel({
      open: async () => line,
      prefix: 'shop',
      source: `replica-${this.#channels.length}`,
      heartbeatMs: 1_000,
      clock: this.clock,
      random: new SeededRandom(this.#channels.length + 1),
    });
    this.#channels.push(channel);
    return { signal: new ChannelPollSignal(channel), channel, line };
  }

  async close(): Promise<void> {
    await Promise.all(this.#channels.map((channel) => channel.close()));
    this.server.close();
  }
}

for (const [where, replicas] of [
  ['on one replica', 1],
  ['on two replicas', 2],
] as const) {
  runContract(
    { describe, it },
    `PollSignal: channel, writer and tracker ${where}`,
    pollSignalContract(() => {
      const all = new Replicas();
      const writer = all.add().signal;
      return {
        writer,
        tracker: replicas === 1 ? writer : all.add().signal,
        settle: () => all.clock.settle(),
        close: () => all.close(),
      };
    }),
  );
}

describe('ChannelPollSignal', () => {
  let replicas: Replicas;

  beforeEach(() => {
    replicas = new Replicas();
  });
  afterEach(() => replicas.close());

  it('wakes a listener of its own replica at once and once, with the server down as well', async () => {
    const { signal, line } = replicas.add();
    let heard = 0;
    signal.onNudge('dbo.a', () => (heard += 1));
    await replicas.clock.settle();
    signal.nudge(['dbo.a']);
    expect(heard).toBe(1);
    await replicas.clock.settle();
    expect(heard).toBe(1);
    line.refuse(new Error('There is no connection.'));
    signal.nudge(['dbo.a']);
    await replicas.clock.settle();
    expect(heard).toBe(2);
  });

  it('sends one message at a time per table, and the last nudge is not lost', async () => {
    const [writer, reader] = [replicas.add(), replicas.add()];
    let heard = 0;
    reader.signal.onNudge('dbo.a', () => (heard += 1));
    await replicas.clock.settle();
    for (let commit = 0; commit < 1_000; commit++) {
      writer.signal.nudge(['dbo.a']);
    }
    await replicas.clock.settle();
    expect(heard).toBe(2);
    expect(writer.channel.stats().published).toBe(2);
  });

  it('looks at every table that is listened to when nudges may have been lost', async () => {
    const { signal, line } = replicas.add();
    const heard: string[] = [];
    signal.onNudge('dbo.a', () => heard.push('a'));
    signal.onNudge('dbo.b', () => heard.push('b'));
    const end = signal.onNudge('dbo.c', () => heard.push('c'));
    await replicas.clock.settle();
    end();
    line.cut();
    line.mend();
    expect(heard).toEqual(['a', 'b']);
  });

  it('tries again by itself when the channel could not be followed, also where no other listener comes, and not for nobody', async () => {
    const { clock } = replicas;
    let attempts = 0;
    const channel = new CacheChannel({
      open: async () => {
        attempts += 1;
        if (attempts <= 3) {
          throw new Error('There is no server.');
        }
        return new MemoryChannelTransport(replicas.server);
      },
      prefix: 'shop',
      source: 'late',
      heartbeatMs: 1_000,
      clock,
      random: new SeededRandom(9),
    });
    const signal = new ChannelPollSignal(channel, undefined, { clock, random: new SeededRandom(1) });
    let heard = 0;
    const end = signal.onNudge('dbo.a', () => (heard += 1));
    await clock.settle();
    end();
    await clock.advance(60_000);
    expect(attempts).toBe(1);
    signal.onNudge('dbo.a', () => (heard += 1));
    await clock.advance(10_000);
    expect([attempts, heard]).toEqual([4, 1]);
    replicas.add().signal.nudge(['dbo.a']);
    await clock.settle();
    expect(heard).toBe(2);
    await channel.close();
  });
});

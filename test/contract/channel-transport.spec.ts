import { Logger } from '@nestjs/common';
import type { ChannelTransport } from '@smartpulse/redis-cache';
import { EmbeddedCacheServer, MemoryChannelTransport } from '@smartpulse/redis-cache/embedded';
import {
  channelTransportContract,
  type ChannelTransportSubject,
  LossyChannelTransport,
} from '@smartpulse/redis-cache/testing';
import { runContract, VirtualClock } from '@smartpulse/resilience/testing';
import { afterAll, beforeAll, describe, it } from 'vitest';

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(true));

const CAPACITY = 250;

const subject = <T extends ChannelTransport>(
  decorate: (transport: ChannelTransport) => T,
  lose: (transport: T, channel: string) => Promise<void>,
): ChannelTransportSubject => {
  const clock = new VirtualClock();
  const server = new EmbeddedCacheServer({ clock, maxPendingMessages: CAPACITY });
  const transport = decorate(new MemoryChannelTransport(server));
  return {
    publisher: transport,
    subscriber: transport,
    drained: () => clock.settle(),
    loseAndRecover: (channel) => lose(transport, channel),
    close: async () => server.close(),
  };
};

runContract(
  { describe, it },
  'ChannelTransport: in memory',
  channelTransportContract(
    () =>
      subject(
        (transport) => transport,
        // Without a pause for delivery, more than a subscriber may have waiting.
        async (transport, channel) => {
          await Promise.all(Array.from({ length: CAPACITY + 1 }, () => transport.publish(channel, 'x')));
        },
      ),
    { losesMessages: true },
  ),
);

runContract(
  { describe, it },
  'ChannelTransport: lossy twin',
  channelTransportContract(
    () =>
      subject(
        (transport) => new LossyChannelTransport(transport),
        async (transport) => {
          transport.cut();
          transport.mend();
        },
      ),
    { losesMessages: true },
  ),
);

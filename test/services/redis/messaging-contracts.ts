import { openRecordStore, type RecordStore } from '@smartpulse/redis-cache';
import { RedisChannelTransport, RedisLink } from '@smartpulse/redis-cache/redis';
import { channelTransportContract, recordStoreContract } from '@smartpulse/redis-cache/testing';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';
import { runContract } from '@smartpulse/resilience/testing';
import { describe, it } from 'vitest';
import type { RedisSite } from '../../support/redis/redis-subject.js';

export const HEARTBEAT_MS = 200;

/** The contracts of channels and records, on whatever kind of Redis there is. */
export function runMessagingContracts(kind: string, site: () => RedisSite): void {
  runContract(
    { describe, it },
    `ChannelTransport: ${kind}`,
    channelTransportContract(
      async () => {
        const where = site();
        const [publisher, subscriber] = [await connect(where.url), await connect(where.url)];
        return {
          publisher,
          subscriber,
          drained: () => heardBy(subscriber, publisher),
          loseAndRecover: async () => {
            const recovered = watchRecovery(subscriber);
            for (const admin of await where.admins()) {
              await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
              admin.disconnect();
            }
            await recovered;
          },
          close: async () => {
            await Promise.all([publisher.close(), subscriber.close()]);
          },
        };
      },
      { losesMessages: true },
    ),
  );

  // Of its own, so that nothing is emptied that others use; and one for all cases: a cluster takes a second or two until the first generation of a prefix may be used.
  const prefix = `records-${new SystemRandom().id()}`;
  runContract(
    { describe, it },
    `RecordStore: ${kind}`,
    recordStoreContract(
      async () => {
        for (const admin of await site().admins()) {
          await Promise.all((await admin.keys(`{${prefix}:*}:r`)).map((key) => admin.del(key)));
          admin.disconnect();
        }
        const opened: RecordStore[] = [];
        const open = async (): Promise<RecordStore> => {
          const store = await openRecordStore({ url: site().url, prefix });
          opened.push(store);
          return store;
        };
        return {
          store: await open(),
          reopen: open,
          close: async () => {
            await Promise.all(opened.map((one) => one.close()));
          },
        };
      },
      { shared: true },
    ),
  );
}

async function connect(url: string): Promise<RedisChannelTransport> {
  const link = new RedisLink({
    url,
    prefix: 'test',
    connectTimeoutMs: 10_000,
    heartbeatMs: HEARTBEAT_MS,
    clock: new SystemClock(),
    random: new SystemRandom(),
  });
  const transport = new RedisChannelTransport(link);
  await link.connect();
  return transport;
}

/** One connection brings all channels; what one server took before, has arrived when this has. */
async function heardBy(subscriber: RedisChannelTransport, publisher: RedisChannelTransport): Promise<void> {
  // Of one slot with the contract's channel, so that a cluster publishes both by one server.
  const mark = '{test:contract:!msg}:mark';
  let onMark = (): void => {};
  const heard = new Promise<void>((resolve) => {
    onMark = resolve;
  });
  const subscription = await subscriber.subscribe(mark, {
    onText: () => onMark(),
    onLost: () => {},
    onStanding: () => {},
  });
  await publisher.publish(mark, 'mark');
  await heard;
  await subscription.close();
}

/** Resolves when a subscription of this transport was lost and stands again. */
async function watchRecovery(transport: RedisChannelTransport): Promise<void> {
  let lost = false;
  await new Promise<void>((resolve, reject) => {
    const listener = {
      onText: () => {},
      onLost: () => {
        lost = true;
      },
      onStanding: () => {
        if (lost) {
          resolve();
        }
      },
    };
    transport.subscribe('test:probe:!msg', listener).catch(reject);
  });
}

import { defineCache, EntryVersion, VersionedCache } from '@smartpulse/redis-cache';
import { EmbeddedCacheServer, MemoryCacheStore, MemoryInvalidationBus } from '@smartpulse/redis-cache/embedded';
import {
  type CachingReplica,
  LossyInvalidationBus,
  type TwoReplicas,
  twoReplicasContract,
} from '@smartpulse/redis-cache/testing';
import { runContract, SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';

const at = (row: number): EntryVersion => new EntryVersion(1n, BigInt(row));

/** @param silent nobody notices that the messages are lost, which breaks the promise of the backplane. */
async function twoCaches(silent = false): Promise<TwoReplicas> {
  const clock = new VirtualClock();
  const server = new EmbeddedCacheServer({ clock });
  const open = async (nodeId: string) => {
    const bus = new LossyInvalidationBus(new MemoryInvalidationBus(server), { silent });
    const cache = new VersionedCache<number>({
      namespace: defineCache<number>({ name: 'rows', synced: true }),
      prefix: 'test',
      nodeId,
      store: new MemoryCacheStore(server),
      clock,
      random: new SeededRandom(nodeId.length),
    });
    await cache.connect(bus);
    const replica: CachingReplica = {
      read: async (key, load) =>
        (
          await cache.getOrLoad(key, async () => {
            const row = await load();
            return { value: row, version: at(row) };
          })
        ).value,
      committed: async (key, row) => void (await cache.invalidate(key, at(row))),
    };
    return { cache, bus, replica };
  };
  const [a, b] = [await open('a'), await open('bb')];
  return {
    replicas: [a.replica, b.replica],
    loseMessages: async () => [a, b].forEach(({ bus }) => bus.cut()),
    messagesAreBack: async () => [a, b].forEach(({ bus }) => bus.mend()),
    heard: () => clock.settle(),
    close: async () => {
      await Promise.all([a.cache.close(), b.cache.close()]);
      server.close();
    },
  };
}

runContract({ describe, it }, 'Two replicas: ours in memory', twoReplicasContract(twoCaches));

describe('the contract of two replicas', () => {
  it('finds a cache that does not notice lost messages', async () => {
    const [, lost] = twoReplicasContract(() => twoCaches(true));
    await expect(lost?.run()).rejects.toThrow(/1/);
  });
});

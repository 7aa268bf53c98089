import { defineCache, EntryVersion, VersionedCache } from '@smartpulse/redis-cache';
import { EmbeddedCacheServer, MemoryCacheStore, MemoryInvalidationBus } from '@smartpulse/redis-cache/embedded';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

interface Row {
  readonly text: string;
}

const synced = defineCache<Row>({ name: 'synced', synced: true });
const open = defineCache<Row>({ name: 'open', synced: false });

const replicas = async (count: number, namespace: typeof synced): Promise<readonly VersionedCache<Row>[]> => {
  const clock = new VirtualClock();
  const server = new EmbeddedCacheServer({ clock });
  return await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const cache = new VersionedCache({
        namespace,
        prefix: 'test',
        nodeId: `n${index}`,
        store: new MemoryCacheStore(server),
        clock,
        random: new SeededRandom(index + 1),
      });
      await cache.connect(new MemoryInvalidationBus(server));
      return cache;
    }),
  );
};

const at = (version: bigint, epoch = 1n): EntryVersion => new EntryVersion(epoch, version);
const row = (version: EntryVersion): Row => ({ text: version.toString() });

// Neighbours above 2^53 are one number to a double; epochs outrank versions.
const versions = fc.uniqueArray(
  fc
    .record({ epoch: fc.bigInt(1n, 3n), version: fc.bigInt(9_007_199_254_740_990n, 9_007_199_254_741_010n) })
    .map(({ epoch, version }) => at(version, epoch)),
  { minLength: 2, maxLength: 40, selector: (version) => version.toString() },
);
const highest = (all: readonly EntryVersion[]): EntryVersion => all.reduce((a, b) => EntryVersion.max(a, b));

describe('versions in the cache', () => {
  it('ends at the highest version when writes arrive shuffled, from several replicas at once', async () => {
    await fc.assert(
      fc.asyncProperty(versions, fc.boolean(), async (shuffled, throughChanges) => {
        const caches = await replicas(3, open);
        const last = highest(shuffled);
        await caches[0]?.set('k', row(at(1n, 0n)), at(1n, 0n));
        const write = async (version: EntryVersion, index: number): Promise<void> => {
          const cache = caches[index % caches.length];
          if (throughChanges && index % 2 === 0) {
            await cache?.refresh('k', row(version), version);
          } else {
            await cache?.set('k', row(version), version);
          }
        };
        await Promise.all(shuffled.map(write));
        for (const cache of caches) {
          const hit = await cache.get('k');
          expect(hit?.version.toString()).toBe(last.toString());
          expect(hit?.value).toEqual(row(last));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('never shows a reader a version below one it has shown, whatever is written in between', async () => {
    await fc.assert(
      fc.asyncProperty(versions, async (shuffled) => {
        const [writer, reader] = await replicas(2, open);
        let shown = EntryVersion.ZERO;
        for (const version of shuffled) {
          const written = writer?.set('k', row(version), version);
          const before = shown;
          const hit = await reader?.get('k');
          await written;
          if (hit !== undefined) {
            expect(hit.version.compare(before)).toBeGreaterThanOrEqual(0);
            shown = hit.version;
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('creates nothing from a replayed old change, in any order of changes', async () => {
    await fc.assert(
      fc.asyncProperty(versions, fc.array(fc.boolean(), { minLength: 40, maxLength: 40 }), async (changes, kinds) => {
        const [cache, other] = await replicas(2, synced);
        for (const [index, version] of changes.entries()) {
          const outcome =
            kinds[index] === true
              ? await cache?.refresh('k', row(version), version)
              : await cache?.invalidate('k', version);
          expect(outcome).toBe('absent');
          expect(await cache?.set('k', row(version), version)).toBe('absent');
        }
        expect(await cache?.get('k')).toBeUndefined();
        expect(await other?.get('k')).toBeUndefined();
      }),
      { numRuns: 200 },
    );
  });

  it('leaves a removed value removed when the changes before its removal are replayed', async () => {
    await fc.assert(
      fc.asyncProperty(versions, async (changes) => {
        const [cache, other] = await replicas(2, synced);
        const last = highest(changes);
        await cache?.getOrLoad('k', async () => ({ value: row(at(1n, 0n)), version: at(1n, 0n) }));
        expect(await other?.invalidate('k', last)).toBe('applied');
        for (const version of changes) {
          expect(await other?.refresh('k', row(version), version)).toBe('absent');
        }
        expect(await cache?.get('k')).toBeUndefined();
      }),
      { numRuns: 200 },
    );
  });
});

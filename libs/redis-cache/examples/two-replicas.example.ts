/** Two replicas over one embedded server: one load for both, and a change that overtakes a load. Run it: `npm run example redis-cache`. */
import { defineCache, EntryVersion, VersionedCache } from '@smartpulse/redis-cache';
import { EmbeddedCacheServer, MemoryCacheStore, MemoryInvalidationBus } from '@smartpulse/redis-cache/embedded';
import { SystemClock, SystemRandom } from '@smartpulse/resilience';

interface Price {
  readonly eurPerMWh: string;
}

const namespace = defineCache<Price>({ name: 'prices', synced: true });
const clock = new SystemClock();
const random = new SystemRandom();
const server = new EmbeddedCacheServer({ clock });

async function replica(nodeId: string): Promise<VersionedCache<Price>> {
  const cache = new VersionedCache({
    namespace,
    prefix: 'example',
    nodeId,
    store: new MemoryCacheStore(server),
    clock,
    random,
  });
  await cache.connect(new MemoryInvalidationBus(server));
  return cache;
}

const [berlin, izmir] = await Promise.all([replica('berlin'), replica('izmir')]);

// The database as it was at version 7, and a change that commits as version 8 while the loader runs.
let row: { readonly value: Price; readonly version: EntryVersion } = {
  value: { eurPerMWh: '61.50' },
  version: new EntryVersion(1n, 7n),
};
const slowRead = async (): Promise<typeof row> => {
  const seen = row;
  await clock.sleep(50);
  return seen;
};

const loading = berlin.getOrLoad('pp-1', slowRead);
await clock.sleep(10);
row = { value: { eurPerMWh: '58.20' }, version: new EntryVersion(1n, 8n) };
console.log('change during the load:', await izmir.invalidate('pp-1', row.version)); // deferred: the floor is raised

console.log('berlin:', await loading); // version 8: the load of version 7 was refused and repeated
console.log('izmir:', await izmir.getOrLoad('pp-1', slowRead)); // level l2, the same value

await Promise.all([berlin.close(), izmir.close()]);
server.close();

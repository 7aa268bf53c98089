import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  CacheChannel,
  CacheRegistry,
  defineCache,
  defineTopic,
  EntryVersion,
  RedisCacheModule,
  type VersionedCache,
} from '@smartpulse/redis-cache';
import { ResilienceModule } from '@smartpulse/resilience';

/** What one process does, and what it tells at its end. */
const { REDIS_URL: url = '', WRITERS = '1', INCREMENTS = '1', KEYS = '' } = process.env;
const keys = KEYS.split(',');
const counters = defineCache<number>({ name: 'counters', synced: false, storeTimeoutMs: 30_000 });
const go = defineTopic<null>({ name: 'go' });

@Module({
  imports: [
    ResilienceModule.forRoot(),
    RedisCacheModule.forRoot({ url, prefix: 'increments' }),
    RedisCacheModule.forFeature([counters]),
  ],
})
class AppModule {}

/** Read, add one, write under the next version: whoever wrote that version first, wins; the others read again. */
async function increment(cache: VersionedCache<number>, key: string): Promise<{ version: bigint; refused: number }> {
  for (let refused = 0; ; refused++) {
    const hit = await cache.get(key);
    const version = (hit?.version.version ?? 0n) + 1n;
    const outcome = await cache.set(key, (hit?.value ?? 0) + 1, new EntryVersion(1n, version));
    if (outcome === 'applied') {
      return { version, refused };
    }
  }
}

const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error'] });
const cache = app.get(CacheRegistry).get<number>('counters');
const begun = new Promise<void>(
  (resolve) =>
    void app
      .get(CacheChannel)
      .subscribe(go, () => resolve())
      .then(() => process.stdout.write('ready\n')),
);
await begun;
const versions: Record<string, string[]> = Object.fromEntries(keys.map((key) => [key, []]));
let refusals = 0;
await Promise.all(
  Array.from({ length: Number(WRITERS) }, async () => {
    for (let done = 0; done < Number(INCREMENTS); done++) {
      for (const key of keys) {
        const { version, refused } = await increment(cache, key);
        versions[key]?.push(String(version));
        refusals += refused;
      }
    }
  }),
);
await app.close();
process.stdout.write(`told ${JSON.stringify({ versions, refusals })}\n`);

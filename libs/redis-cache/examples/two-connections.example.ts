/** One app with caches on two servers, of which one goes: the caches of the other stay trusted. Run it: `npm run example redis-cache`. */
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CacheRegistry, defineCache, EntryVersion, RedisCacheModule, RedisCacheProbe } from '@smartpulse/redis-cache';
import { EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';
import { ResilienceModule, SystemClock } from '@smartpulse/resilience';

const prices = defineCache<string>({ name: 'prices', synced: false });
const sales = defineCache<string>({ name: 'sales', synced: false });
const reportsServer = new EmbeddedCacheServer({ clock: new SystemClock() });

@Module({
  imports: [
    ResilienceModule.forRoot(),
    RedisCacheModule.forRoot({
      url: 'memory://',
      prefix: 'shop',
      connections: { reports: { url: 'memory://', server: reportsServer } },
    }),
    RedisCacheModule.forFeature([prices]),
    RedisCacheModule.forFeature([sales], { connection: 'reports' }),
  ],
})
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
const caches = app.get(CacheRegistry);
await caches.get<string>('prices').set('PP-1', '61.50', new EntryVersion(1n, 7n));
await caches.get<string>('sales').set('2026-11', '1200', new EntryVersion(1n, 7n));
console.log(app.get(RedisCacheProbe).check());

reportsServer.close();
console.log(await caches.get('prices').get('PP-1'), app.get(RedisCacheProbe).check());
await app.close();

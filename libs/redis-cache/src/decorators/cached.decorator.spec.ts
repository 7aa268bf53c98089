import { Injectable, type LoggerService, Module } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { Clock, ConfigurationError, ResilienceModule } from '@smartpulse/resilience';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import {
  AutoCache,
  Cached,
  CachedValue,
  cacheKey,
  CacheRegistry,
  cacheToken,
  defineCache,
  EntryVersion,
  type Loaded,
  RedisCacheModule,
} from '../index.js';

const quiet: LoggerService = { log: () => {}, warn: () => {}, error: () => {} };
const prices = defineCache<string>({ name: 'prices', synced: true });
const volumes = defineCache<number>({ name: 'volumes', synced: true });
const at = (version: number): EntryVersion => new EntryVersion(1n, BigInt(version));

class Reads {
  readonly of = new Map<string, number>();

  count(key: string): void {
    this.of.set(key, (this.of.get(key) ?? 0) + 1);
  }
}

@Injectable()
class Prices {
  readonly reads = new Reads();
  broken = false;

  @Cached({ cache: 'prices', key: (unit: string, hour: number) => cacheKey(unit, String(hour)) })
  async latest(unit: string, hour: number): Promise<Loaded<string>> {
    this.reads.count(`${unit}/${hour}`);
    if (this.broken) {
      throw new Error('It is down.');
    }
    return { value: `${unit} at ${hour}`, version: at(hour) };
  }

  @Cached({ cache: 'volumes', key: (unit: string) => `brief:${unit}`, ttlMs: 2_000 })
  async brief(unit: string): Promise<Loaded<number>> {
    return { value: unit.length, version: at(1) };
  }

  @Cached({ cache: 'volumes', key: (unit: string) => unit, l1TtlMs: 1_000, l2TtlMs: 2_000 })
  async volume(unit: string): Promise<Loaded<number>> {
    this.reads.count(unit);
    return { value: unit.length, version: at(1) };
  }
}

async function start(namespaces = [prices, volumes]): Promise<TestingModule> {
  @Module({
    imports: [
      ResilienceModule.forRoot({ clock: new VirtualClock() }),
      RedisCacheModule.forRoot({ url: 'memory://' }),
      RedisCacheModule.forFeature(namespaces),
    ],
    providers: [Prices],
  })
  class AppModule {}
  const module = await Test.createTestingModule({ imports: [AppModule] })
    .setLogger(quiet)
    .compile();
  return await module.init();
}

describe('@Cached', () => {
  it('runs the method once for a key, with its own this and arguments, and answers the hit from then on', async () => {
    const module = await start();
    const service = module.get(Prices);
    const [first, second] = await Promise.all([service.latest('U 1', 3), service.latest('U 1', 3)]);
    expect(first).toMatchObject({ value: 'U 1 at 3', version: at(3), level: 'source' });
    expect(second).toEqual(first);
    expect(await service.latest('U 1', 3)).toMatchObject({ value: 'U 1 at 3', level: 'l1' });
    expect(await service.latest('U 1', 4)).toMatchObject({ value: 'U 1 at 4', level: 'source' });
    expect(await service.volume('U')).toMatchObject({ value: 1 });
    expect(Object.fromEntries(service.reads.of)).toEqual({ 'U 1/3': 1, 'U 1/4': 1, U: 1 });
    await module.close();
  });

  it('lets entries live as long as it says', async () => {
    const module = await start();
    const service = module.get(Prices);
    await service.volume('U');
    const clock = module.get<VirtualClock>(Clock);
    await clock.advance(1_001);
    expect(await service.volume('U')).toMatchObject({ level: 'l2' });
    await clock.advance(1_000);
    expect(await service.volume('U')).toMatchObject({ level: 'source' });
    await module.close();
  });

  it('lets them live for one time in both levels where it says one, in the first no longer than the namespace says', async () => {
    const module = await start();
    const service = module.get(Prices);
    const clock = module.get<VirtualClock>(Clock);
    await service.brief('U');
    await clock.advance(1_700);
    expect(await service.brief('U')).toMatchObject({ level: 'l1' });
    await clock.advance(301);
    expect(await service.brief('U')).toMatchObject({ level: 'source' });
    await module.close();
  });

  it('refuses one time for both levels beside one of a level, or out of range', () => {
    const one = (lives: object): unknown => Cached({ cache: 'volumes', key: () => 'k', ...lives });
    const on = (decorate: unknown) => (): unknown =>
      typeof decorate === 'function' && decorate(Prices.prototype, 'volume', { value: async () => {} });
    expect(on(one({ ttlMs: 1_000, l2TtlMs: 2_000 }))).toThrow(/@Cached on Prices\.volume.*ttlMs.*l2TtlMs/s);
    expect(on(one({ ttlMs: 1_000, l1TtlMs: 500 }))).toThrow(/ttlMs.*l1TtlMs/s);
    expect(on(one({ ttlMs: 0.5 }))).toThrow(/"?ttlMs"?.*whole milliseconds/s);
  });

  it('runs it again after a change, and keeps nothing of a run that failed', async () => {
    const module = await start();
    const service = module.get(Prices);
    await service.latest('U', 3);
    await module.get(CacheRegistry).get('prices').evict(cacheKey('U', '3'));
    service.broken = true;
    await expect(service.latest('U', 3)).rejects.toThrow('It is down.');
    service.broken = false;
    expect(await service.latest('U', 3)).toMatchObject({ level: 'source' });
    expect(service.reads.of.get('U/3')).toBe(3);
    await module.close();
  });

  it('leaves the method as it is on an instance that Nest did not make', async () => {
    const service = new Prices();
    await service.latest('U', 3);
    await service.latest('U', 3);
    expect(service.reads.of.get('U/3')).toBe(2);
  });

  it('does not let an app start that has no such cache, and refuses what is no method, no name and no function', async () => {
    await expect(start([prices])).rejects.toThrow(/volumes/);
    const wrong = (): unknown =>
      // @ts-expect-error: as JavaScript would
      Cached({ cache: '', key: 'unit' })(Prices.prototype, 'latest', {});
    expect(wrong).toThrow(ConfigurationError);
    expect(wrong).toThrow(/@Cached on Prices\.latest.*no method.*cache.*key/s);
  });
});

const rates = defineCache<number>({ name: 'rates', synced: false, versioning: 'auto', tagged: true });

@Injectable()
class Rates {
  runs = 0;

  @CachedValue({ cache: 'rates', key: (currency: string) => currency, tags: (currency) => [`of:${currency}`] })
  async rate(currency: string): Promise<number | undefined> {
    this.runs++;
    return currency === 'EUR' ? this.runs : undefined;
  }
}

@Injectable()
class MistakenRates {
  @CachedValue({ cache: 'prices', key: () => 'k' })
  async read(): Promise<string> {
    return 'x';
  }

  @Cached({ cache: 'rates', key: () => 'k' })
  async load(): Promise<Loaded<number>> {
    return { value: 1, version: at(1) };
  }
}

async function startRates(): Promise<TestingModule> {
  const module = await Test.createTestingModule({
    imports: [
      ResilienceModule.forRoot({ clock: new VirtualClock() }),
      RedisCacheModule.forRoot({ url: 'memory://' }),
      RedisCacheModule.forFeature([prices, rates]),
    ],
    providers: [Rates, MistakenRates],
  })
    .setLogger(quiet)
    .compile();
  return await module.init();
}

describe('@CachedValue', () => {
  it('answers the value alone, in front of a cache whose versions the store gives, until its tag is invalidated', async () => {
    const module = await startRates();
    const service = module.get(Rates);
    expect([await service.rate('EUR'), await service.rate('EUR'), await service.rate('XXX')]).toEqual([
      1,
      1,
      undefined,
    ]);
    expect(service.runs).toBe(2);
    const cache = module.get<AutoCache<number>>(cacheToken('rates'));
    expect(cache).toBeInstanceOf(AutoCache);
    await cache.invalidateTag('of:EUR');
    expect([await service.rate('EUR'), await service.rate('XXX'), service.runs]).toEqual([3, undefined, 3]);
    expect(await new Rates().rate('EUR')).toBe(1);
    await module.close();
  });

  it('says which decorator a cache needs', async () => {
    const module = await startRates();
    const mistaken = module.get(MistakenRates);
    await expect(mistaken.read()).rejects.toThrow(/take @Cached/);
    await expect(mistaken.load()).rejects.toThrow(/take @CachedValue/);
    await module.close();
  });
});

import { HealthProbe, type ProbeResult } from '@smartpulse/resilience';
import type { CacheRegistry } from '../registry/cache.registry.js';

/**
 * How the caches are: `degraded` while a backplane may have lost messages or the store fails. Never `down`: without a cache the loaders answer.
 */
export class RedisCacheProbe extends HealthProbe {
  readonly name = 'redis-cache';

  constructor(private readonly registry: CacheRegistry) {
    super();
  }

  override started(): boolean {
    return this.registry.connected;
  }

  override check(): ProbeResult {
    const caches = this.registry.list();
    const untrusted = caches.filter((cache) => !cache.trusted).length;
    const storeFailing = caches.some((cache) => cache.storeFailing);
    return {
      status: untrusted > 0 || storeFailing ? 'degraded' : 'up',
      details: { caches: caches.length, untrusted, storeFailing },
    };
  }
}

import { HealthProbe, type ProbeResult } from '@smartpulse/resilience';
import type { CacheChannel } from '../channel/cache.channel.js';
import type { CacheRegistry } from '../registry/cache.registry.js';

/**
 * How the caches are: `degraded` while a backplane may have lost messages, the store fails, or a topic that is followed brings nothing. Never `down`: without a
 * cache the loaders answer.
 */
export class RedisCacheProbe extends HealthProbe {
  readonly name = 'redis-cache';

  constructor(
    private readonly registry: CacheRegistry,
    private readonly channel: CacheChannel,
  ) {
    super();
  }

  override started(): boolean {
    return this.registry.connected;
  }

  override check(): ProbeResult {
    const caches = this.registry.list();
    const untrusted = caches.filter((cache) => !cache.trusted).length;
    const storeFailing = caches.some((cache) => cache.storeFailing);
    const { subscriptions, standing } = this.channel.stats();
    const deafTopics = subscriptions - standing;
    return {
      status: untrusted > 0 || storeFailing || deafTopics > 0 ? 'degraded' : 'up',
      details: { caches: caches.length, untrusted, storeFailing, deafTopics },
    };
  }
}

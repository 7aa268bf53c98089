import { HealthProbe, type ProbeResult } from '@smartpulse/resilience';
import type { CacheChannels } from '../channel/cache.channels.js';
import type { CacheRegistry } from '../registry/cache.registry.js';

/**
 * How the caches are: `degraded` while a backplane may have lost messages, a store fails, or a topic that is followed brings nothing. Never `down`: without a
 * cache the loaders answer. Details of a named connection have its name in front: `reports.untrusted`.
 */
export class RedisCacheProbe extends HealthProbe {
  readonly name = 'redis-cache';

  constructor(
    private readonly registry: CacheRegistry,
    private readonly channels: CacheChannels,
  ) {
    super();
  }

  override started(): boolean {
    return this.registry.connected;
  }

  override check(): ProbeResult {
    let degraded = false;
    const details: Record<string, number | boolean> = {};
    for (const [{ name, attributes }, channel] of this.channels.list()) {
      const caches = this.registry.list(name);
      const untrusted = caches.filter((cache) => !cache.trusted).length;
      const storeFailing = caches.some((cache) => cache.storeFailing);
      const { subscriptions, standing } = channel.stats();
      const deafTopics = subscriptions - standing;
      degraded ||= untrusted > 0 || storeFailing || deafTopics > 0;
      for (const [detail, value] of Object.entries({ caches: caches.length, untrusted, storeFailing, deafTopics })) {
        details[attributes.connection === undefined ? detail : `${attributes.connection}.${detail}`] = value;
      }
    }
    return { status: degraded ? 'degraded' : 'up', details };
  }
}

import {
  InvalidationBus,
  type InvalidationListener,
  type InvalidationSubscription,
} from '../invalidation/invalidation.bus.js';
import type { EmbeddedCacheServer } from './embedded-cache.server.js';

/** The backplane in memory: reaches everybody who holds the same server. */
export class MemoryInvalidationBus extends InvalidationBus {
  constructor(private readonly server: EmbeddedCacheServer) {
    super();
  }

  override subscribe(channel: string, listener: InvalidationListener): Promise<InvalidationSubscription> {
    return this.server.subscribe(channel, listener);
  }
}

import { type InvalidationListener, type InvalidationSubscription } from '@smartpulse/redis-cache';
import { EmbeddedCacheServer } from '@smartpulse/redis-cache/embedded';

/** A cache server whose backplane accepts every subscription and delivers nothing: what a silently dead one looks like. */
export class DeafCacheServer extends EmbeddedCacheServer {
  override subscribe(channel: string, listener: InvalidationListener): Promise<InvalidationSubscription> {
    return super.subscribe(channel, {
      onMessage: () => undefined,
      onTrusted: () => listener.onTrusted(),
      onUntrusted: (reason) => listener.onUntrusted(reason),
    });
  }
}

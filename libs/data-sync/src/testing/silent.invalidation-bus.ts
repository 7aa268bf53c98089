import { InvalidationBus, type InvalidationListener, type InvalidationSubscription } from '@smartpulse/redis-cache';

/** A backplane that stands and delivers nothing: what a replica shows without one. */
export class SilentInvalidationBus extends InvalidationBus {
  override async subscribe(_channel: string, listener: InvalidationListener): Promise<InvalidationSubscription> {
    listener.onTrusted();
    await Promise.resolve();
    return { close: () => Promise.resolve() };
  }
}

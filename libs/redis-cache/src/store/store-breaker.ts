import type { BreakerOptions } from '@smartpulse/resilience';
import { CacheStoreUnavailableError } from '../redis-cache.errors.js';

/**
 * The circuit in front of a store: calls that are not answered open it, so that an outage costs readers a few waits and not one for each. It is short: there is a
 * loader for every reader, and the store is worth asking again soon.
 */
export function storeBreaker(): BreakerOptions {
  return {
    strategy: { kind: 'consecutive', failures: 5 },
    openMs: 1_000,
    openMultiplier: 1.5,
    maxOpenMs: 5_000,
    successesToClose: 1,
    // A server that refuses (it is full, or reads only) is not dead: the next call may be of another kind.
    failureIf: (error) => !(CacheStoreUnavailableError.is(error) && isReply(error.cause)),
  };
}

function isReply(cause: unknown): boolean {
  return cause instanceof Error && cause.name === 'ReplyError';
}

import { HandlerTimeoutError, PulsarError } from '@smartpulse/pulsar';
import { CacheStoreUnavailableError } from '@smartpulse/redis-cache';
import { BulkheadFullError, CircuitOpenError } from '@smartpulse/resilience';
import { StampSourceSilentError } from '../data-sync.errors.js';

/** Whether an error means that infrastructure is down: no message is to blame, no attempt is spent. */
export function isOutage(error: unknown): boolean {
  return (
    CacheStoreUnavailableError.is(error) ||
    StampSourceSilentError.is(error) ||
    isBrokerAway(error) ||
    CircuitOpenError.is(error) ||
    BulkheadFullError.is(error)
  );
}

/** A broker that cannot take what a handler publishes. A handler that takes too long is transient too, but its own fault. */
function isBrokerAway(error: unknown): boolean {
  return (
    PulsarError.is(error) &&
    (error.kind === 'transient' || error.kind === 'backpressure') &&
    error.code !== HandlerTimeoutError.code
  );
}

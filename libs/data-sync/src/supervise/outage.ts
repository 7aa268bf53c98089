import { TransportUnavailableError } from '@smartpulse/pulsar';
import { CacheStoreUnavailableError } from '@smartpulse/redis-cache';
import { BulkheadFullError, CircuitOpenError } from '@smartpulse/resilience';
import { StampSourceSilentError } from '../data-sync.errors.js';

/** Whether an error means that infrastructure is down: no message is to blame, no attempt is spent. */
export function isOutage(error: unknown): boolean {
  return (
    CacheStoreUnavailableError.is(error) ||
    StampSourceSilentError.is(error) ||
    TransportUnavailableError.is(error) ||
    CircuitOpenError.is(error) ||
    BulkheadFullError.is(error)
  );
}

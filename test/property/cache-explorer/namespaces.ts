import { defineCache } from '@smartpulse/redis-cache';
import type { SimulatedValue } from '@smartpulse/redis-cache/testing';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Nothing ends by time here, but those who wait ask again. */
export const NAMESPACE = defineCache<SimulatedValue>({
  name: 'model',
  synced: true,
  l1TtlMs: DAY_MS,
  l2TtlMs: DAY_MS,
  negativeTtlMs: DAY_MS,
  leaseMs: 600_000,
  loadTimeoutMs: HOUR_MS,
  waitTimeoutMs: HOUR_MS,
  storeTimeoutMs: HOUR_MS,
});

/** Like no other time of a replica, so that a timer of it is known by it. */
export const STALE_AFTER_MS = 1_234_567;

/** As {@link NAMESPACE}, and a value whose life is over is kept for those who do not wait for the load that follows. */
export const IMPATIENT_NAMESPACE = defineCache<SimulatedValue>({
  ...NAMESPACE,
  failSafeMs: DAY_MS,
  staleAfterMs: STALE_AFTER_MS,
});

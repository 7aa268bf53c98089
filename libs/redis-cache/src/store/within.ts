import { type Clock, SmartPulseError, type Timer } from '@smartpulse/resilience';
import { CacheStoreUnavailableError } from '../redis-cache.errors.js';

/**
 * Ends within `timeoutMs`, with an answer or an error. What was given up may still have its effect.
 *
 * @throws CacheStoreUnavailableError when `work` fails with an error that is none of the house's own, or is late.
 */
export async function within<T>(
  clock: Clock,
  timeoutMs: number,
  operation: string,
  work: () => Promise<T>,
): Promise<T> {
  let timer: Timer | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = clock.setTimer(timeoutMs, () => reject(new Error(`No answer within ${timeoutMs} ms.`)), { unref: true });
  });
  try {
    return await Promise.race([work(), late]);
  } catch (error) {
    throw error instanceof SmartPulseError ? error : new CacheStoreUnavailableError(operation, error);
  } finally {
    timer?.cancel();
  }
}

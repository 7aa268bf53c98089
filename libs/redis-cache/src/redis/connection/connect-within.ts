import type { Clock, Timer } from '@smartpulse/resilience';
import type { Redis } from 'ioredis';
import { hearErrors } from './hear-errors.js';

/**
 * Connects a client that was not connected yet, and does with it what comes first, within the time, or ends it.
 *
 * @throws what the server, or the way to it, said.
 */
export async function connectWithin<T>(
  redis: Redis,
  clock: Clock,
  timeoutMs: number,
  first: () => Promise<T>,
): Promise<T> {
  let reason: Error | undefined;
  hearErrors(redis, (error) => {
    reason = error;
  });
  let timer: Timer | undefined;
  // A client that ends waits for the other side, which may be frozen.
  const late = new Promise<never>((_, reject) => {
    timer = clock.setTimer(timeoutMs, () => reject(new Error(`No connection within ${timeoutMs} ms.`)), {
      unref: true,
    });
  });
  const connected = async (): Promise<T> => {
    await redis.connect();
    return first();
  };
  try {
    return await Promise.race([connected(), late]);
  } catch (error) {
    redis.disconnect();
    throw reason ?? error;
  } finally {
    timer?.cancel();
  }
}

import { MAX_TIMER_MS } from '../drain/drain-options.js';
import type { HeldUntil, RetryLater } from './partitioned-queue.options.js';

/** Whether a handler's answer has to be waited for. */
export function isPromiseLike<T>(answer: T | Promise<T>): answer is Promise<T> {
  return typeof answer === 'object' && answer !== null && 'then' in answer;
}

/** Whether a handler is done and its key is to be held. */
export function isHeldUntil(answer: unknown): answer is HeldUntil {
  return typeof answer === 'object' && answer !== null && 'heldUntil' in answer && isPromiseLike(answer.heldUntil);
}

/** Whether a handler asks for the item again, after a time that a timer can wait. */
export function isRetryLater(answer: unknown): answer is RetryLater {
  if (typeof answer !== 'object' || answer === null || !('retryAfterMs' in answer)) {
    return false;
  }
  const { retryAfterMs } = answer;
  return typeof retryAfterMs === 'number' && retryAfterMs >= 0 && retryAfterMs <= MAX_TIMER_MS;
}

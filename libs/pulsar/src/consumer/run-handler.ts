import type { Clock, Timer } from '@smartpulse/resilience';
import { HandlerTimeoutError } from '../pulsar.errors.js';

/** How long a handler may run. */
export interface HandlerLimits {
  readonly clock: Clock;
  readonly topic: string;
  /** 0 = no limit. */
  readonly timeoutMs: number;
  /** What an aborted handler may take to settle. */
  readonly abortGraceMs: number;
  /** Aborts when the shutdown's time is used up. */
  readonly stop: AbortSignal;
}

/**
 * Runs a handler with a signal of its own. When its time is used up, the signal aborts; the run has then failed, whatever the handler
 * answers, as soon as it settles or the grace is over. A handler that ignores the signal beyond the grace is left to itself: it may then
 * overlap its own repetition.
 *
 * @throws HandlerTimeoutError, or what the handler throws.
 */
export function runHandler<T>(limits: HandlerLimits, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { clock, topic, timeoutMs, abortGraceMs, stop } = limits;
  const abort = new AbortController();
  return new Promise<T>((resolve, reject) => {
    let timer: Timer | undefined;
    let timedOut: HandlerTimeoutError | undefined;
    const onStop = (): void => abort.abort(stop.reason);
    const settle = (end: () => void): void => {
      timer?.cancel();
      stop.removeEventListener('abort', onStop);
      if (timedOut === undefined) {
        end();
      } else {
        reject(timedOut);
      }
    };
    if (stop.aborted) {
      onStop();
    } else {
      stop.addEventListener('abort', onStop, { once: true });
    }
    if (timeoutMs > 0) {
      timer = clock.setTimer(timeoutMs, () => {
        timedOut = new HandlerTimeoutError(topic, timeoutMs);
        timer = clock.setTimer(abortGraceMs, () => settle(() => undefined));
        abort.abort(timedOut);
      });
    }
    // After a time-out the promise is settled already and what comes late changes nothing.
    work(abort.signal).then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error)),
    );
  });
}

import { constants } from 'node:os';
import { type Clock } from '@smartpulse/resilience';

/** A second Ctrl+C within this time is the first one, forwarded again by a shell or by npm. */
const ECHO_MS = 1_000;

/**
 * Aborts at the first SIGINT or SIGTERM: whoever hosts both apps stops them itself. A signal that comes again a second later ends the process
 * at once.
 */
export function stopSignal(clock: Clock): AbortSignal {
  const stopped = new AbortController();
  let receivedMs = 0;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (!stopped.signal.aborted) {
        receivedMs = clock.monotonic();
        stopped.abort(new Error(`${signal} was received.`));
      } else if (clock.monotonic() - receivedMs >= ECHO_MS) {
        process.exit(128 + constants.signals[signal]);
      }
    });
  }
  return stopped.signal;
}

import { PulsarError } from '../pulsar.errors.js';
import type { Dial } from './socket-dialer.js';
import { PROBE } from './websocket.endpoint.js';

/** What the probe may be refused with by a broker that is there and knows the token: its path names nothing that could be made. */
const HEARD: readonly string[] = [
  'SMARTPULSE_PULSAR_INVALID_TOPIC',
  'SMARTPULSE_PULSAR_AUTHORIZATION',
  'SMARTPULSE_PULSAR_TOPIC_NOT_FOUND',
];

/**
 * Resolves when a broker answers and does not refuse the token.
 *
 * @throws PulsarError
 */
export async function answersProbe(dial: Dial, timeoutMs: number, signal: AbortSignal): Promise<void> {
  try {
    const live = await dial(PROBE, timeoutMs, signal);
    live.terminate();
  } catch (error) {
    const refusedForItsPath =
      PulsarError.is(error) && (HEARD.includes(error.code) || /Empty subscription/i.test(error.message));
    if (!refusedForItsPath) {
      throw error;
    }
  }
}

import { PulsarError } from '../pulsar.errors.js';
import type { Dial } from './socket-dialer.js';
import { PROBE } from './websocket.endpoint.js';

/** What the probe may be refused with by a broker that is there and has accepted the token: the tenant of its path does not exist. */
const HEARD: readonly string[] = ['SMARTPULSE_PULSAR_AUTHORIZATION', 'SMARTPULSE_PULSAR_TOPIC_NOT_FOUND'];
/** What Pulsar 4.2 says to a role that may not ask about that tenant; a wrong token is told before. */
const STRANGER = /status 500: Server error/;

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
    const refusedForItsPath = PulsarError.is(error) && (HEARD.includes(error.code) || STRANGER.test(error.message));
    if (!refusedForItsPath) {
      throw error;
    }
  }
}

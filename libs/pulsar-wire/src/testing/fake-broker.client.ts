import { PulsarClient } from '../client/pulsar-client.js';
import type { ClientEvent, PulsarClientOptions } from '../client/client.options.js';
import type { FakeBroker } from './fake-broker.js';

/** A client of a {@link FakeBroker}, and what it told. */
export interface ClientUnderTest {
  readonly client: PulsarClient;
  readonly events: readonly ClientEvent[];
}

/** Connects a client to a fake broker. */
export function clientOf(
  broker: FakeBroker,
  time: Pick<PulsarClientOptions, 'clock' | 'random'>,
  options: Partial<PulsarClientOptions> = {},
): ClientUnderTest {
  const events: ClientEvent[] = [];
  const client = new PulsarClient({
    serviceUrl: 'pulsar://broker:6650',
    dial: broker.dial,
    onEvent: (event) => events.push(event),
    ...time,
    ...options,
  });
  return { client, events };
}

/** A clock that a test moves. */
export interface MovableClock {
  /** Moves time by `ms` milliseconds. */
  advance(ms: number): Promise<void>;
  /** Lets what is ready run; time stands still. */
  settle(): Promise<void>;
}

/** Turns of the event loop that a conversation with the fake broker may take; between two steps of time it comes to its end. */
const CONVERSATION_TURNS = 10;
const STEP_MS = 25;

/**
 * Moves time in small steps until `work` is settled. Not straight to the next timer: that would let a request time out whose
 * answer is on its way.
 *
 * @throws what `work` rejects with, and an Error when it is not settled within `limitMs` of virtual time.
 */
export async function finish<T>(clock: MovableClock, work: Promise<T>, limitMs = 120_000): Promise<T> {
  const progress = { isSettled: false };
  const settled = Promise.allSettled([work]).then(([result]) => {
    progress.isSettled = true;
    return result;
  });
  for (let passedMs = 0; passedMs <= limitMs; passedMs += STEP_MS) {
    for (let turn = 0; turn < CONVERSATION_TURNS && !progress.isSettled; turn++) {
      await clock.settle();
    }
    if (progress.isSettled) {
      const result = await settled;
      if (result.status === 'rejected') {
        throw result.reason;
      }
      return result.value;
    }
    await clock.advance(STEP_MS);
  }
  throw new Error(`Not settled after ${limitMs} ms of virtual time.`);
}

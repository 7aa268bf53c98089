import { PulsarError } from '../pulsar.errors.js';
import type { MessageHandler } from './consumer-options.js';
import { MessageContext } from './message-context.js';
import type { Settlement } from './settlement.js';

/** Waits for what a handler with `ack: 'manual'` says of its message, once. */
export class ManualSettlement {
  readonly #topic: string;
  #said: Settlement | undefined;
  #over = false;
  #tell: (settlement: Settlement) => void = () => {};

  constructor(topic: string) {
    this.#topic = topic;
  }

  /** What was said; `undefined`: nothing yet. */
  get said(): Settlement | undefined {
    return this.#said;
  }

  /** @throws PulsarError when something was said already, or the run is over. */
  say(settlement: Settlement): void {
    if (this.#over) {
      throw refused(
        this.#topic,
        'its handler run is over and the message was given back',
        'Settle it within timeoutMs, or raise that.',
      );
    }
    if (this.#said !== undefined) {
      throw refused(this.#topic, `it is settled already (${this.#said.settlement})`, 'Settle each message once.');
    }
    this.#said = settlement;
    this.#tell(settlement);
  }

  /** Resolves with what is said; rejects with the signal's reason when it aborts before. */
  whenSaid(signal: AbortSignal): Promise<Settlement> {
    if (this.#said !== undefined) {
      return Promise.resolve(this.#said);
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(PulsarError.from(signal.reason, this.#topic));
      if (signal.aborted) {
        onAbort();
        return;
      }
      signal.addEventListener('abort', onAbort, { once: true });
      this.#tell = (settlement) => {
        signal.removeEventListener('abort', onAbort);
        resolve(settlement);
      };
    });
  }

  /** Nothing can be said any more. */
  end(): void {
    this.#over = true;
  }
}

/**
 * A handler that settles its message itself: its run goes on, and holds the lane of its key, until it has. A throw before that is a failed run, one after it
 * changes nothing any more.
 */
export function manualHandler<T>(handler: MessageHandler<T>): MessageHandler<T> {
  return async (payload, context) => {
    const settlement = new ManualSettlement(context.topic);
    if (context instanceof MessageContext) {
      context.settleBy(settlement);
    }
    try {
      await handler(payload, context);
      return await settlement.whenSaid(context.signal);
    } catch (error) {
      if (settlement.said === undefined) {
        throw error;
      }
      return settlement.said;
    } finally {
      settlement.end();
    }
  };
}

function refused(topic: string, problem: string, remedy: string): PulsarError {
  return new PulsarError('SMARTPULSE_PULSAR_INVALID_OPTIONS', `A message of ${topic} cannot be settled: ${problem}.`, {
    kind: 'permanent',
    remedy,
    topic,
  });
}

import type { InvalidationMessage } from '../../invalidation/invalidation.bus.js';
import { ChannelSequences } from '../../redis/messages/channel-sequences.js';
import type { MessageOrigin } from '../../redis/messages/wire-message.js';

const CHANNEL = 'simulated';

/** The numbers of what replicas publish, as each of them counts it on Redis; the embedded server has no need of any. */
export class NumberedMessages {
  readonly #sequences = new Map<string, ChannelSequences>();
  readonly #origins = new WeakMap<InvalidationMessage, MessageOrigin>();

  /** Everybody hears the same message: whoever is first numbers it. */
  originOf(message: InvalidationMessage): MessageOrigin {
    let origin = this.#origins.get(message);
    if (origin === undefined) {
      const { source } = message;
      const sequences = this.#sequences.get(source) ?? new ChannelSequences(source);
      this.#sequences.set(source, sequences);
      origin = sequences.next(CHANNEL, source);
      this.#origins.set(message, origin);
    }
    return origin;
  }

  /** A sign of life of everybody who has said anything. */
  beats(): readonly MessageOrigin[] {
    return [...this.#sequences].map(([source, sequences]) => sequences.last(CHANNEL, source));
  }
}

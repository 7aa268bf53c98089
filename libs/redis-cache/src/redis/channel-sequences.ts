import type { MessageOrigin } from './wire-message.js';

/** Numbers the messages of this process, channel by channel. */
export class ChannelSequences {
  readonly #last = new Map<string, number>();

  /** @param epoch this life of the process. */
  constructor(readonly epoch: string) {}

  /** Channels that have had a message. */
  get channels(): readonly string[] {
    return [...this.#last.keys()];
  }

  /** The origin of the next message on a channel. */
  next(channel: string, source: string): MessageOrigin {
    const sequence = (this.#last.get(channel) ?? 0) + 1;
    this.#last.set(channel, sequence);
    return { source, epoch: this.epoch, sequence };
  }

  /** The origin of the last one. */
  last(channel: string, source: string): MessageOrigin {
    return { source, epoch: this.epoch, sequence: this.#last.get(channel) ?? 0 };
  }
}

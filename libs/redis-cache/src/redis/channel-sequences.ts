import type { MessageOrigin } from './wire-message.js';

/**
 * Numbers the messages of this process, channel by channel and lane by lane: messages that leave by one server arrive in order, those of two servers of a cluster
 * do not.
 */
export class ChannelSequences {
  /** By channel, then by lane. */
  readonly #last = new Map<string, Map<string, number>>();

  /** @param epoch this life of the process. */
  constructor(readonly epoch: string) {}

  /** Channels that have had a message. */
  get channels(): readonly string[] {
    return [...this.#last.keys()];
  }

  /** The origin of the next message on a channel. */
  next(channel: string, source: string, lane = ''): MessageOrigin {
    const lanes = this.#last.get(channel) ?? new Map<string, number>();
    this.#last.set(channel, lanes);
    const sequence = (lanes.get(lane) ?? 0) + 1;
    lanes.set(lane, sequence);
    return { source, epoch: this.#epochOf(lane), sequence };
  }

  /** The origin of the last one. */
  last(channel: string, source: string, lane = ''): MessageOrigin {
    return { source, epoch: this.#epochOf(lane), sequence: this.#last.get(channel)?.get(lane) ?? 0 };
  }

  /** By which lane a message of this process came; `undefined`: it is another's. */
  laneOf({ epoch }: MessageOrigin): string | undefined {
    if (epoch === this.epoch) {
      return '';
    }
    return epoch.startsWith(`${this.epoch}/`) ? epoch.slice(this.epoch.length + 1) : undefined;
  }

  #epochOf(lane: string): string {
    return lane === '' ? this.epoch : `${this.epoch}/${lane}`;
  }
}

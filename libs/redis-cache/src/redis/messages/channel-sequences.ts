import type { MessageOrigin } from './wire-message.js';

interface Numbers {
  last: number;
  /** Those of messages of which it is not clear yet whether they come to anything, in their order. */
  readonly begun: Set<number>;
}

/**
 * Numbers the messages of this process, channel by channel and lane by lane: messages that leave by one server arrive in order, those of two servers of a cluster
 * do not.
 */
export class ChannelSequences {
  /** By channel, then by lane. */
  readonly #lanes = new Map<string, Map<string, Numbers>>();

  /** @param epoch this life of the process. */
  constructor(readonly epoch: string) {}

  /** Channels that have had a message. */
  get channels(): readonly string[] {
    return [...this.#lanes.keys()];
  }

  /** The origin of the next message on a channel. */
  next(channel: string, source: string, lane = ''): MessageOrigin {
    const numbers = this.#numbers(channel, lane);
    numbers.last += 1;
    return { source, epoch: this.#epochOf(lane), sequence: numbers.last };
  }

  /** Like {@link next}, for a message that may come to nothing: {@link last} does not count it before {@link end}. */
  begin(channel: string, source: string, lane: string): MessageOrigin {
    const origin = this.next(channel, source, lane);
    this.#numbers(channel, lane).begun.add(origin.sequence);
    return origin;
  }

  /** It is clear what became of it. */
  end(channel: string, lane: string, { sequence }: MessageOrigin): void {
    this.#numbers(channel, lane).begun.delete(sequence);
  }

  /** The origin of the last one. */
  last(channel: string, source: string, lane = ''): MessageOrigin {
    const { last = 0, begun = [] } = this.#lanes.get(channel)?.get(lane) ?? {};
    // They end in any order, and were begun in this one.
    const [oldest = last + 1] = begun;
    return { source, epoch: this.#epochOf(lane), sequence: oldest - 1 };
  }

  /** By which lane a message of this process came; `undefined`: it is another's. */
  laneOf({ epoch }: MessageOrigin): string | undefined {
    if (epoch === this.epoch) {
      return '';
    }
    return epoch.startsWith(`${this.epoch}/`) ? epoch.slice(this.epoch.length + 1) : undefined;
  }

  #numbers(channel: string, lane: string): Numbers {
    let lanes = this.#lanes.get(channel);
    if (lanes === undefined) {
      lanes = new Map();
      this.#lanes.set(channel, lanes);
    }
    let numbers = lanes.get(lane);
    if (numbers === undefined) {
      numbers = { last: 0, begun: new Set() };
      lanes.set(lane, numbers);
    }
    return numbers;
  }

  #epochOf(lane: string): string {
    return lane === '' ? this.epoch : `${this.epoch}/${lane}`;
  }
}

import type { ClientEvent } from './client.options.js';
import type { Clock, Timer } from './time.js';

/** A producer or consumer of a topic with partitions, which may become more. */
export interface Growing {
  readonly topic: string;
  /** Partitions that it has. */
  readonly size: number;
  readonly closed: boolean;
  /** It takes on no more partitions for now. */
  readonly isLeaving?: boolean | undefined;
  /** Takes on the partitions from {@link size} to `count`. */
  grow(count: number): Promise<void>;
}

/** Asks from time to time how many partitions topics have, and tells their producers and consumers when there are more. There are never fewer. */
export class PartitionGrowth {
  readonly #watched = new Set<Growing>();
  #timer: Timer | undefined;
  #ended = false;

  /**
   * @param intervalMs between two rounds, milliseconds; 0 = never.
   * @param partitionsOf asks the broker.
   */
  constructor(
    private readonly clock: Clock,
    private readonly intervalMs: number,
    private readonly partitionsOf: (topic: string) => Promise<number>,
    private readonly emit: (event: ClientEvent) => void,
  ) {}

  watch(growing: Growing): void {
    if (this.intervalMs > 0 && !this.#ended) {
      this.#watched.add(growing);
      this.#schedule();
    }
  }

  end(): void {
    this.#ended = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#watched.clear();
  }

  #schedule(): void {
    if (this.#timer === undefined && this.#watched.size > 0 && !this.#ended) {
      this.#timer = this.clock.setTimer(this.intervalMs, () => void this.#round(), { unref: true });
    }
  }

  async #round(): Promise<void> {
    await Promise.all([...this.#watched].map((growing) => this.#check(growing)));
    this.#timer = undefined;
    this.#schedule();
  }

  async #check(growing: Growing): Promise<void> {
    const { topic, size } = growing;
    try {
      const count = growing.closed ? size : await this.partitionsOf(topic);
      if (growing.closed || this.#ended) {
        this.#watched.delete(growing);
        return;
      }
      if (count > size && growing.isLeaving !== true) {
        await growing.grow(count);
        this.emit({ type: 'partitions-added', topic, partitions: count });
      }
    } catch (cause) {
      if (!growing.closed && !this.#ended) {
        // The next round asks again.
        this.emit({ type: 'partitions-unknown', topic, cause });
      }
    }
  }
}

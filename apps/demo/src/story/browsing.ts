import { type Clock, type Random } from '@smartpulse/resilience';
import { type FeedPlan, rangeOf } from '../feed/feed-plan.js';
import { type Replica } from './replica.js';

const DAY_MS = 86_400_000;

/** Milliseconds between two reads of one replica. */
const READ_INTERVAL_MS = 5;

/** Users that look at random days of random units on every replica, so that loads and changes of the same keys meet. */
export class Browsing {
  readonly #ended = new AbortController();
  readonly #users: Promise<void>;
  #reads = 0;

  constructor(
    readers: readonly Replica[],
    private readonly plan: FeedPlan,
    private readonly clock: Clock,
    private readonly random: Random,
  ) {
    this.#users = Promise.all(readers.map((reader) => this.#browse(reader))).then(() => undefined);
  }

  /** Ends it and answers how many reads there were; rejects when one of them failed. */
  async end(): Promise<number> {
    this.#ended.abort();
    await this.#users;
    return this.#reads;
  }

  async #browse({ client }: Replica): Promise<void> {
    while (!this.#ended.signal.aborted) {
      const { region, units } = this.#pick(this.plan.regions);
      const { fromMs, toMs } = rangeOf(region);
      const dayMs = fromMs + this.random.int(Math.ceil((toMs - fromMs) / DAY_MS)) * DAY_MS;
      const { unitNo } = this.#pick(units);
      await client.latest({ provider: 'FinalForecast', unitNo }, dayMs, Math.min(toMs, dayMs + DAY_MS));
      this.#reads += 1;
      await this.clock.sleep(READ_INTERVAL_MS);
    }
  }

  #pick<T>(items: readonly T[]): T {
    const item = items[this.random.int(items.length)];
    if (item === undefined) {
      throw new Error('There is nothing to look at.');
    }
    return item;
  }
}

import { type ForecastClient } from './forecast.client.js';
import { type PlannedSave } from './feed-plan.js';

/** What has been saved so far, as the service said. */
export interface FeedProgress {
  readonly requests: number;
  readonly rows: number;
}

/** Makes planned saves, a few at a time and each series in its order, and counts what the service committed. */
export class Feeder {
  #requests = 0;
  #rows = 0;

  /** @param concurrency requests under way at once. */
  constructor(private readonly concurrency: number) {}

  get progress(): FeedProgress {
    return { requests: this.#requests, rows: this.#rows };
  }

  /**
   * Resolves when every save is committed; rejects with the first failure, or with the signal's reason, after the requests under way have
   * ended: what was sent is answered.
   */
  async feed(client: ForecastClient, saves: readonly PlannedSave[], signal?: AbortSignal): Promise<void> {
    let next = 0;
    const work = async (): Promise<void> => {
      for (let save = saves[next++]; save !== undefined; save = saves[next++]) {
        signal?.throwIfAborted();
        const { saved } = await client.save(save.path, save.values);
        this.#requests += 1;
        this.#rows += saved;
      }
    };
    const results = await Promise.allSettled(Array.from({ length: this.concurrency }, work));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed !== undefined) {
      throw failed.reason;
    }
  }
}

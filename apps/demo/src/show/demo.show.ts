import { type Clock } from '@smartpulse/resilience';
import { type FeedPlan, type PlannedSave } from '../feed/feed-plan.js';
import { Feeder } from '../feed/feeder.js';
import { type ForecastClient } from '../feed/forecast.client.js';
import { type ProgressLine } from './progress-line.js';

/** What the progress line tells beside the feed's own progress. */
export interface DemoFigures {
  /** Change envelopes on the topic. */
  readonly envelopes: number;
  readonly notifications: number;
  /** Commit to cache, half of the changes; `null` before the first. */
  readonly lagP50Ms: number | null;
}

/** Milliseconds between two requests of the running flow. */
const FLOW_INTERVAL_MS = 100;

/** Milliseconds between two looks at the figures. */
const LOOK_INTERVAL_MS = 250;

/** Feeds the month: in bulk first, then as a running flow of corrections and measurements, and shows what becomes of it. */
export class DemoShow {
  readonly #feeder = new Feeder(4);

  constructor(
    private readonly clock: Clock,
    private readonly client: ForecastClient,
    private readonly line: ProgressLine,
    private readonly figures: () => Promise<DemoFigures>,
  ) {}

  /** What the service has committed so far. */
  get rowsCommitted(): number {
    return this.#feeder.progress.rows;
  }

  /** Resolves when everything is fed; rejects with the signal's reason when it aborts, after the requests under way have ended. */
  async play(plan: FeedPlan, signal: AbortSignal): Promise<void> {
    await this.#watched('bulk', plan.bulk.length, this.#feeder.feed(this.client, plan.bulk, signal));
    const flow = inTurns(plan.corrections, plan.measurements);
    await this.#watched('flow', flow.length, this.#flow(flow, signal));
    this.line.show(`${await this.#state()} · everything is fed, both apps go on serving: Ctrl+C ends them`);
    this.line.end();
  }

  async #flow(saves: readonly PlannedSave[], signal: AbortSignal): Promise<void> {
    for (const save of saves) {
      await this.#feeder.feed(this.client, [save], signal);
      await this.clock.sleep(FLOW_INTERVAL_MS, signal);
    }
  }

  /** Shows the progress of `work` until it ends, and ends as it does, or when there is nothing to show any more. */
  async #watched(part: string, requests: number, work: Promise<void>): Promise<void> {
    const before = this.#feeder.progress.requests;
    const watch = new AbortController();
    const look = async (): Promise<void> => {
      while (!watch.signal.aborted) {
        this.line.show(
          `${part} ${this.#feeder.progress.requests - before}/${requests} requests · ${await this.#state()}`,
        );
        await this.clock.sleep(LOOK_INTERVAL_MS);
      }
    };
    const outcomes = await Promise.allSettled([work.finally(() => watch.abort()), look()]);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        throw outcome.reason;
      }
    }
  }

  async #state(): Promise<string> {
    const { envelopes, notifications, lagP50Ms } = await this.figures();
    const lag = lagP50Ms === null ? '' : ` · commit to cache ${lagP50Ms} ms`;
    return `${this.#feeder.progress.rows} rows committed · ${envelopes} envelopes · ${notifications} notifications${lag}`;
  }
}

function inTurns(first: readonly PlannedSave[], second: readonly PlannedSave[]): readonly PlannedSave[] {
  return Array.from({ length: Math.max(first.length, second.length) }, (_, index) => [first[index], second[index]])
    .flat()
    .filter((save) => save !== undefined);
}

import { Logger } from '@nestjs/common';
import { InProcessPollSignal, PollSignal } from '@smartpulse/cdc';
import { type CacheChannel, defineTopic } from '@smartpulse/redis-cache';
import {
  backoffDelayMs,
  type BackoffOptions,
  type Clock,
  type Random,
  SystemClock,
  SystemRandom,
  type Timer,
} from '@smartpulse/resilience';

/** Of the app itself: its replicas have one prefix. The key is the table. */
const NUDGES = defineTopic<null>({ name: 'cdc-nudges' });

/** Waits between attempts to follow the channel. */
const RETRY: BackoffOptions = Object.freeze({ initialMs: 1_000, multiplier: 2, maxMs: 60_000, jitter: 'equal' });

/** What a {@link ChannelPollSignal} waits by. */
export interface ChannelPollSignalOptions {
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** Spreads the waits of replicas. Default: the machine's. */
  readonly random?: Random | undefined;
}

/**
 * Nudges over the app's {@link CacheChannel}: a writer on one replica wakes the tracker on whichever replica holds the lease. Within the process they go
 * the short way; a lost one costs a poll interval and no more, and where some may have been lost, every table is looked at.
 *
 * @example
 * ```ts
 * CdcModule.forRootAsync({
 *   inject: [DataSource, CacheChannel],
 *   useFactory: (dataSource: DataSource, channel: CacheChannel) => ({
 *     ...embeddedCdc(database, dataSource),
 *     pollSignal: new ChannelPollSignal(channel),
 *   }),
 * });
 * ```
 */
export class ChannelPollSignal extends PollSignal {
  readonly #logger = new Logger(ChannelPollSignal.name);
  readonly #channel: CacheChannel;
  readonly #local: PollSignal;
  readonly #listeners = new Map<string, number>();
  /** Tables whose nudge is on its way; `true`: it was nudged again meanwhile. */
  readonly #sending = new Map<string, boolean>();
  readonly #clock: Clock;
  readonly #random: Random;
  #following = false;
  #failures = 0;
  #retry: Timer | undefined;

  /** @param local how nudges go within the process; what comes over the channel is handed on by it. */
  constructor(
    channel: CacheChannel,
    local: PollSignal = new InProcessPollSignal(),
    { clock = new SystemClock(), random = new SystemRandom() }: ChannelPollSignalOptions = {},
  ) {
    super();
    this.#clock = clock;
    this.#random = random;
    this.#channel = channel;
    this.#local = local;
  }

  override nudge(tables: readonly string[]): void {
    this.#local.nudge(tables);
    for (const table of tables) {
      if (this.#sending.has(table)) {
        this.#sending.set(table, true);
      } else {
        void this.#send(table);
      }
    }
  }

  override onNudge(table: string, listener: () => void): () => void {
    const end = this.#local.onNudge(table, listener);
    this.#listeners.set(table, (this.#listeners.get(table) ?? 0) + 1);
    this.#follow();
    let ended = false;
    return () => {
      end();
      if (!ended) {
        ended = true;
        this.#forget(table);
      }
    };
  }

  #forget(table: string): void {
    const left = (this.#listeners.get(table) ?? 1) - 1;
    if (left === 0) {
      this.#listeners.delete(table);
      if (this.#listeners.size === 0) {
        this.#retry?.cancel();
        this.#retry = undefined;
      }
    } else {
      this.#listeners.set(table, left);
    }
  }

  /** One message at a time per table, however fast a writer commits. Never rejects. */
  async #send(table: string): Promise<void> {
    this.#sending.set(table, false);
    try {
      await this.#channel.publish(NUDGES, table, null);
    } catch (error) {
      this.#logger.debug(`A nudge of ${table} reached this process only (${String(error)}); trackers poll anyway.`);
    }
    const again = this.#sending.get(table);
    this.#sending.delete(table);
    if (again === true) {
      void this.#send(table);
    }
  }

  /** Listens from the first listener on, as long as the app runs; what fails is tried again, as long as there are listeners. */
  #follow(): void {
    if (this.#following) {
      return;
    }
    this.#following = true;
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#channel
      .subscribe(NUDGES, ({ key, own }) => (own ? undefined : this.#local.nudge([key])), {
        onGap: () => this.#local.nudge([...this.#listeners.keys()]),
      })
      .then(
        () => this.#followed(),
        (error: unknown) => this.#failed(error),
      );
  }

  #followed(): void {
    if (this.#failures > 0) {
      this.#failures = 0;
      // Whatever was sent meanwhile was heard by nobody here.
      this.#local.nudge([...this.#listeners.keys()]);
    }
  }

  #failed(error: unknown): void {
    this.#following = false;
    this.#failures += 1;
    const retryInMs = backoffDelayMs(RETRY, this.#failures, this.#random);
    // The first of a row and then ever more seldom: an outage must not fill the log.
    if ((this.#failures & (this.#failures - 1)) === 0) {
      this.#logger.warn(
        `Nudges of other replicas do not reach this one (${String(error)}); trackers poll anyway. Attempt ${this.#failures + 1} follows in ${Math.round(retryInMs)} ms.`,
      );
    }
    if (this.#listeners.size > 0) {
      this.#retry = this.#clock.setTimer(retryInMs, () => this.#follow(), { unref: true });
    }
  }
}

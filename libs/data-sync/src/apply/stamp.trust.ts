import { type ChangeVersion, compareChangeVersions, type StampedReader } from '@smartpulse/cdc';
import type { Clock } from '@smartpulse/resilience';
import { StampSourceSilentError } from '../data-sync.errors.js';

/**
 * `trusted`: the source has reached the stamp. `outdated`: its epoch is over. `beyond`: the source has not reached it, so it was not born
 * there.
 */
export type StampVerdict =
  | { readonly kind: 'trusted' }
  | { readonly kind: 'outdated' }
  | { readonly kind: 'beyond'; readonly current: ChangeVersion };

/** A source that takes longer is silent: a connection that hangs must not look like a change that cannot be applied. */
const ANSWER_TIMEOUT_MS = 10_000;

const TRUSTED: StampVerdict = Object.freeze({ kind: 'trusted' });
const OUTDATED: StampVerdict = Object.freeze({ kind: 'outdated' });

/**
 * Judges stamps by what the source itself says.
 *
 * What the source once said holds for every stamp at or below it; only a stamp above is asked about. An answer that began before the
 * stamp arrived may confirm it but never condemn it: the commit may have come in between. So at most one question is under way and at most
 * one waits, whatever the number of changes.
 */
export class StampTrust {
  readonly #reader: StampedReader;
  readonly #clock: Clock;
  #known: ChangeVersion | undefined;
  #running: Promise<void> | undefined;
  #queued: Promise<void> | undefined;
  #questions = 0;

  constructor(reader: StampedReader, clock: Clock) {
    this.#reader = reader;
    this.#clock = clock;
  }

  /** How often the source was asked. */
  get questions(): number {
    return this.#questions;
  }

  /** @throws {@link StampSourceSilentError} when the source does not answer: an outage. */
  async judge(stamp: ChangeVersion): Promise<StampVerdict> {
    const known = this.#verdict(stamp);
    if (known !== undefined) {
      return known;
    }
    if (this.#running !== undefined) {
      await this.#running;
      const meanwhile = this.#verdict(stamp);
      if (meanwhile !== undefined) {
        return meanwhile;
      }
    }
    await this.#ask();
    return this.#verdict(stamp) ?? { kind: 'beyond', current: this.#known ?? stamp };
  }

  /**
   * What the source is at, asked now.
   *
   * @throws {@link StampSourceSilentError}
   */
  async current(): Promise<ChangeVersion> {
    await this.#ask();
    if (this.#known === undefined) {
      throw new StampSourceSilentError(new Error('It gave no version.'));
    }
    return this.#known;
  }

  #verdict(stamp: ChangeVersion): StampVerdict | undefined {
    if (this.#known === undefined) {
      return undefined;
    }
    if (stamp.epoch < this.#known.epoch) {
      return OUTDATED;
    }
    return compareChangeVersions(stamp, this.#known) <= 0 ? TRUSTED : undefined;
  }

  /** Resolves after a question that begins no earlier than now. */
  async #ask(): Promise<void> {
    if (this.#running === undefined) {
      await this.#begin();
      return;
    }
    // The one that runs may fail; the next one is asked all the same.
    this.#queued ??= this.#running.then(
      () => this.#next(),
      () => this.#next(),
    );
    await this.#queued;
  }

  #next(): Promise<void> {
    this.#queued = undefined;
    return this.#begin();
  }

  #begin(): Promise<void> {
    this.#questions++;
    const question = this.#question().finally(() => {
      if (this.#running === question) {
        this.#running = undefined;
      }
    });
    this.#running = question;
    return question;
  }

  async #question(): Promise<void> {
    let current: ChangeVersion;
    try {
      current = await this.#answer();
    } catch (error) {
      throw new StampSourceSilentError(error);
    }
    if (this.#known === undefined || compareChangeVersions(current, this.#known) > 0) {
      this.#known = current;
    }
  }

  async #answer(): Promise<ChangeVersion> {
    const answered = new AbortController();
    const silence = this.#clock.sleep(ANSWER_TIMEOUT_MS, answered.signal).then(() => {
      throw new Error(`No answer within ${ANSWER_TIMEOUT_MS} ms.`);
    });
    try {
      return await Promise.race([this.#reader.current(), silence]);
    } finally {
      answered.abort();
    }
  }
}

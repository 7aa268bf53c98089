import type { Logger } from '@nestjs/common';
import type { Clock, Timer } from '@smartpulse/resilience';
import { PulsarClosedError } from '../../pulsar.errors.js';
import type { PulsarConsumerHandle } from '../consumer-options.js';
import type { PulsarPatternHandle } from './pattern-options.js';

/** Consumers of one pattern; what matches beyond is told of, and not subscribed to. */
const MOST_TOPICS = 1_000;

/** What a {@link PatternSubscription} is made of. */
export interface PatternSubscriptionOptions {
  /** Names the handler in the log. */
  readonly name: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly intervalMs: number;
  /** Full names of the topics that there are. */
  readonly list: () => Promise<readonly string[]>;
  readonly matches: (topic: string) => boolean;
  /** @param isLate it was found after the start, and what it holds is to be read from its beginning. */
  readonly subscribe: (topic: string, isLate: boolean) => Promise<PulsarConsumerHandle>;
  readonly onClosed: (subscription: PatternSubscription) => void;
}

/** Keeps one consumer on each topic that matches: looks for new ones at intervals, and leaves those that are gone. */
export class PatternSubscription implements PulsarPatternHandle {
  readonly #consumers = new Map<string, PulsarConsumerHandle>();
  #timer: Timer | undefined;
  #round: Promise<void> | undefined;
  /** Those that the first list named: what another one names beside them has come since. */
  #known: Set<string> | undefined;
  #closing: Promise<void> | undefined;
  #stopped = false;
  #tooMany = 0;

  constructor(private readonly options: PatternSubscriptionOptions) {}

  get topics(): readonly string[] {
    return [...this.#consumers].filter(([, { state }]) => state.status !== 'closed').map(([topic]) => topic);
  }

  /**
   * The first round, which every topic that is there must come through; the others follow by themselves.
   *
   * @param isCertain `false`: a first round that fails is told of, and the next one tries again.
   * @param attempt how the round is tried.
   */
  async begin(isCertain: boolean, attempt: (round: () => Promise<void>) => Promise<void>): Promise<void> {
    if (this.#stopped) {
      return;
    }
    try {
      await attempt(() => this.refresh());
    } catch (error) {
      if (isCertain || this.#stopped) {
        throw error;
      }
      this.#warn(error);
    }
    this.options.logger.log(`${this.options.name}: its pattern matches ${this.#consumers.size} topics.`);
    this.#schedule();
  }

  refresh(): Promise<void> {
    if (this.#stopped) {
      return Promise.reject(new PulsarClosedError('consumers'));
    }
    this.#round ??= this.#look().finally(() => {
      this.#round = undefined;
    });
    return this.#round;
  }

  /** Looks no more for topics; its consumers go on. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.stop();
    await Promise.allSettled([this.#round]);
    try {
      await Promise.all([...this.#consumers.values()].map((consumer) => consumer.close()));
    } finally {
      this.#consumers.clear();
      this.options.onClosed(this);
    }
  }

  async #look(): Promise<void> {
    const there = (await this.options.list()).filter((topic) => this.options.matches(topic));
    this.#known ??= new Set(there);
    const gone = [...this.#consumers.keys()].filter((topic) => !there.includes(topic));
    const late = there.filter((topic) => !this.#consumers.has(topic));
    const found = late.slice(0, Math.max(0, MOST_TOPICS - this.#consumers.size + gone.length));
    this.#tellOfTooMany(late.length - found.length);
    const rounds = await Promise.allSettled([
      ...gone.map((topic) => this.#leave(topic)),
      ...found.map((topic) => this.#take(topic)),
    ]);
    const failed = rounds.find(({ status }) => status === 'rejected');
    if (failed?.status === 'rejected') {
      throw failed.reason;
    }
  }

  async #take(topic: string): Promise<void> {
    if (this.#stopped) {
      return;
    }
    const isLate = this.#known?.has(topic) === false;
    this.#consumers.set(topic, await this.options.subscribe(topic, isLate));
    if (isLate) {
      this.options.logger.log(`${this.options.name}: ${topic} has come and is consumed.`);
    }
  }

  /** Its subscription, if there is one still, stays: a topic of that name may come again. */
  async #leave(topic: string): Promise<void> {
    const consumer = this.#consumers.get(topic);
    this.#consumers.delete(topic);
    this.#known?.delete(topic);
    this.options.logger.log(`${this.options.name}: ${topic} is gone.`);
    await consumer?.close();
  }

  #schedule(): void {
    if (this.#stopped) {
      return;
    }
    this.#timer = this.options.clock.setTimer(
      this.options.intervalMs,
      () => {
        // Never rejects: the next round tries again.
        void this.#lookAgain();
      },
      { unref: true },
    );
  }

  async #lookAgain(): Promise<void> {
    try {
      await this.refresh();
    } catch (error) {
      this.#warn(error);
    }
    this.#schedule();
  }

  #warn(error: unknown): void {
    if (!this.#stopped) {
      this.options.logger.warn(
        `${this.options.name}: not every topic of its pattern is consumed, which is tried again in ${this.options.intervalMs} ms: ${String(error)}`,
      );
    }
  }

  #tellOfTooMany(count: number): void {
    if (count > this.#tooMany) {
      this.options.logger.error(
        `${this.options.name}: ${count} topics that its pattern matches are not consumed, because it has ${MOST_TOPICS} already. Make the pattern narrower, or give a part of them to another handler.`,
      );
    }
    this.#tooMany = count;
  }
}

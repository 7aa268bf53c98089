import { Logger } from '@nestjs/common';
import type { Clock, Random, Timer } from '@smartpulse/resilience';
import type { Redis } from 'ioredis';
import { hearErrors } from './hear-errors.js';

/** How one connection is made, and who hears of it. */
export interface ConnectionPlan {
  /** For messages: `data`. */
  readonly name: string;
  /** How long an attempt may take until the connection can be used, milliseconds. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
  /** A client that has not connected yet and never connects again by itself. */
  open(): Redis;
  /** What is done before anybody may use it. */
  prepare(redis: Redis): Promise<void>;
  /** It can be used, or cannot any more. */
  onChange(): void;
}

type State =
  | { readonly kind: 'idle' }
  | { readonly kind: 'opening'; readonly redis: Redis; readonly done: Promise<void> }
  | { readonly kind: 'up'; readonly redis: Redis }
  | { readonly kind: 'waiting'; readonly timer: Timer }
  | { readonly kind: 'closed' };

const RETRY_MIN_MS = 50;
const RETRY_MAX_MS = 2_000;
const PARTING_MS = 500;

/**
 * One connection that is made again when it is lost, each time with a client of its own: what was found out of a server when a client connected (its life, its
 * role) holds for as long as that client, and no command that was sent before a loss reaches another server after it.
 */
export class ServerConnection {
  readonly #logger = new Logger('RedisCacheModule');
  readonly #plan: ConnectionPlan;
  #state: State = { kind: 'idle' };
  #failures = 0;

  constructor(plan: ConnectionPlan) {
    this.#plan = plan;
  }

  /** The client, when it can be used. */
  get up(): Redis | undefined {
    return this.#state.kind === 'up' && this.#state.redis.status === 'ready' ? this.#state.redis : undefined;
  }

  /** Begins to connect; rejects when the first attempt fails, others follow until {@link close} all the same. */
  start(): Promise<void> {
    if (this.#state.kind === 'closed') {
      return Promise.reject(new Error('The connection was closed.'));
    }
    let redis: Redis;
    try {
      redis = this.#plan.open();
    } catch (error) {
      this.#schedule();
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
    const done = this.#open(redis);
    this.#state = { kind: 'opening', redis, done };
    return done;
  }

  /** The client, also when the attempt that runs has to end first. */
  async whenUp(): Promise<Redis> {
    if (this.#state.kind === 'opening') {
      await this.#state.done;
    }
    const redis = this.up;
    if (redis === undefined) {
      throw new NotConnectedError();
    }
    return redis;
  }

  /** Ends it as lost: another one follows. */
  renew(): void {
    if (this.#state.kind === 'up') {
      this.#lost(this.#state.redis);
    } else if (this.#state.kind === 'opening') {
      this.#state.redis.disconnect();
    }
  }

  /** What was sent is answered first, for as long as that takes no longer than a moment. */
  async close(): Promise<void> {
    const state = this.#state;
    this.#state = { kind: 'closed' };
    if (state.kind === 'waiting') {
      state.timer.cancel();
    }
    if (state.kind === 'up' || state.kind === 'opening') {
      if (state.kind === 'up' && state.redis.status === 'ready') {
        await this.parting(state.redis.quit());
      }
      state.redis.disconnect();
    }
  }

  /** What is said at the end is not waited for any longer than this: the server may be gone, or frozen. */
  parting(said: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#plan.clock.setTimer(PARTING_MS, resolve);
      const end = (): void => {
        timer.cancel();
        resolve();
      };
      said.then(end, (error: unknown) => {
        this.#logger.debug(`A connection ended first (${String(error)}).`);
        end();
      });
    });
  }

  async #open(redis: Redis): Promise<void> {
    const { clock, timeoutMs, name } = this.#plan;
    let reason: Error | undefined;
    hearErrors(redis, (error) => {
      reason = error;
    });
    redis.once('close', () => this.#lost(redis));
    const timer = clock.setTimer(timeoutMs, () => redis.disconnect(), { unref: true });
    try {
      await redis.connect();
      await this.#plan.prepare(redis);
      if (this.#state.kind !== 'opening' || this.#state.redis !== redis || redis.status !== 'ready') {
        throw new NotConnectedError();
      }
    } catch (error) {
      redis.disconnect();
      if (this.#failures++ === 0 && this.#state.kind !== 'closed') {
        const why = reason ?? error;
        this.#logger.warn(
          `Redis, connection for ${name}: ${why instanceof Error ? why.message : String(why)}; it is tried again.`,
        );
      }
      this.#again(redis);
      // What the server said tells more than that the connection was closed.
      throw reason ?? error;
    } finally {
      timer.cancel();
    }
    this.#failures = 0;
    this.#state = { kind: 'up', redis };
    this.#plan.onChange();
  }

  #lost(redis: Redis): void {
    if (this.#state.kind === 'up' && this.#state.redis === redis) {
      // Those who watch the sentinels for it are let go, too; and one that is frozen is not waited for.
      redis.disconnect();
      this.#again(redis);
      this.#plan.onChange();
    }
  }

  #again(redis: Redis): void {
    const state = this.#state;
    if ((state.kind === 'up' || state.kind === 'opening') && state.redis === redis) {
      this.#schedule();
    }
  }

  #schedule(): void {
    const { clock, random } = this.#plan;
    const atMostMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(this.#failures, 10));
    const timer = clock.setTimer(
      random.next() * atMostMs,
      () => {
        this.start().catch((error: unknown) => this.#logger.debug(`Redis cannot be used yet (${String(error)}).`));
      },
      { unref: true },
    );
    this.#state = { kind: 'waiting', timer };
  }
}

/** There is no connection at the moment: nothing was sent. Made without a stack, because it is thrown for every call of an outage. */
export class NotConnectedError extends Error {
  override readonly name = 'NotConnectedError';

  constructor() {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super('There is no connection to Redis.');
    Error.stackTraceLimit = limit;
  }
}

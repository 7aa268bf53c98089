import {
  backoffDelayMs,
  type BackoffOptions,
  BulkheadFullError,
  checkOptions,
  type Clock,
  type Policy,
  type Random,
  type Timer,
} from '@smartpulse/resilience';
import { z } from 'zod';
import {
  CrossSlotError,
  RedisTransactionConflictError,
  RedisTransactionRefusedError,
  RedisTransactionsBusyError,
  RedisTransactionsClosedError,
  RedisTransactionUnavailableError,
} from '../redis-cache.errors.js';
import { IdleConnections } from './idle-connections.js';
import type { TransactionOutcome, TransactionWork } from './redis-transaction.js';
import { type AttemptEnd, TransactionAttempt } from './transaction-attempt.js';
import { checkWatched } from './transaction-keys.js';
import { RUN_TRANSACTION_DEFAULTS, type RunTransactionOptions, type TransactionBounds } from './transaction-options.js';
import { endOf, startCounting, type TransactionStats } from './transaction-stats.js';
import type {
  TransactionConnection,
  TransactionRedirection,
  TransactionServer,
  TransactionServers,
} from './transaction-servers.js';

/** What {@link RedisTransactions} are made of. */
export interface RedisTransactionsParts {
  readonly servers: TransactionServers;
  /** Whose keys are refused. */
  readonly prefix: string;
  readonly options: TransactionBounds;
  /** Has places for as many runs as there may be connections, and first come is first served. */
  readonly places: Policy;
  readonly clock: Clock;
  readonly random: Random;
}

/** Redirections that are followed at once; more of them are waited for like a conflict. */
const MAX_REDIRECTIONS = 5;
const BACKOFF: BackoffOptions = Object.freeze({ initialMs: 2, multiplier: 2, maxMs: 250, jitter: 'full' });

const runSchema = z.strictObject({
  attempts: z
    .int('expected a whole number from 1 to 1000000')
    .min(1, 'expected a whole number from 1 to 1000000')
    .max(1_000_000, 'expected a whole number from 1 to 1000000')
    .default(RUN_TRANSACTION_DEFAULTS.attempts),
  signal: z.instanceof(AbortSignal, { error: 'expected an AbortSignal' }).optional(),
});

/**
 * Optimistic transactions on data of the app's own that lies in the Redis of its caches: the keys are watched, the work reads and decides, what it queued runs in one
 * step if no watched key was changed meanwhile, and else the work runs again. On connections of its own, which are made when they are first needed.
 *
 * What has to be one step in the caches themselves is `setAll`, `setFields` or a set under the next version; what needs no decision here is a script.
 *
 * Injectable by its class where the default connection leads to a Redis, and with `@InjectRedisTransactions(name)` for a named one.
 *
 * @example
 * ```ts
 * const outcome = await transactions.run(['stock:a'], async (tx) => {
 *   const left = Number(await tx.read('GET', 'stock:a'));
 *   if (left < 1) {
 *     return tx.abandon('none left');
 *   }
 *   tx.queue('DECRBY', 'stock:a', 1);
 *   return left - 1;
 * });
 * ```
 */
export class RedisTransactions {
  readonly #parts: RedisTransactionsParts;
  readonly #idle: IdleConnections;
  readonly #used = new Set<TransactionConnection>();
  readonly #counters = startCounting();
  readonly #runs = new Set<Promise<unknown>>();
  /** Aborts when the time of those that ran at the end is over. */
  readonly #over = new AbortController();
  #closing: Promise<void> | undefined;

  constructor(parts: RedisTransactionsParts) {
    this.#parts = parts;
    this.#idle = new IdleConnections();
  }

  /**
   * Runs a transaction.
   *
   * @param keys what the decision stands on, by their full names; of one slot on a cluster.
   * @param work runs once for each attempt, so it does nothing but read and queue; what it throws is thrown, and nothing is changed.
   * @throws RedisTransactionConflictError after so many attempts; RedisTransactionUnavailableError without an answer in time, `ambiguous` when what was queued may have been done: a
   * transaction is never sent twice; RedisTransactionRefusedError when the server cannot make sense of it; RedisTransactionTimeoutError for work that does not end;
   * RedisTransactionsBusyError when there is no connection for it; CrossSlotError, InvalidTransactionError and ConfigurationError for what cannot be run; the signal's reason.
   */
  async run<T>(
    keys: readonly string[],
    work: TransactionWork<T>,
    options: RunTransactionOptions = {},
  ): Promise<TransactionOutcome<T>> {
    const { attempts, signal } = checkOptions('RedisTransactions.run', runSchema, options);
    checkWatched(this.#parts.prefix, keys);
    if (this.#parts.servers.crosses(keys)) {
      throw new CrossSlotError(undefined, keys.length);
    }
    try {
      const outcome = await this.#inPlace(signal, () => this.#attempt(keys, work, attempts, signal));
      this.#counters[outcome.outcome] += 1;
      return outcome;
    } catch (error) {
      this.#counters[endOf(error)] += 1;
      throw error;
    }
  }

  /** Counts since the start. */
  stats(): TransactionStats {
    return { ...this.#counters };
  }

  /** Takes no new runs, gives those under way as long as one answer may take, then ends all connections. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { clock, options } = this.#parts;
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      timer = clock.setTimer(options.commandTimeoutMs, resolve);
    });
    await Promise.race([Promise.allSettled(this.#runs), late]);
    timer?.cancel();
    this.#over.abort(new RedisTransactionsClosedError());
    this.#used.forEach((connection) => connection.drop());
    await this.#idle.close();
  }

  /** Waits for one of the places, in the order of coming, for so long. */
  async #inPlace<T>(signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
    const { places, clock, options } = this.#parts;
    this.#checkOpen();
    signal?.throwIfAborted();
    const waiting = new AbortController();
    const onAbort = (): void => waiting.abort(signal?.reason);
    const timer = clock.setTimer(options.waitTimeoutMs, () =>
      waiting.abort(new RedisTransactionsBusyError(options.maxConnections, options.waitTimeoutMs)),
    );
    const endWait = (): void => {
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await places.execute(
        () => {
          endWait();
          this.#checkOpen();
          return this.#counted(run);
        },
        { signal: waiting.signal },
      );
    } catch (error) {
      throw BulkheadFullError.is(error) && error.policy === places.name
        ? new RedisTransactionsBusyError(options.maxConnections, 0)
        : error;
    } finally {
      endWait();
    }
  }

  /** It is counted before it begins, because it looks at how many there are. */
  async #counted<T>(run: () => Promise<T>): Promise<T> {
    const running = Promise.resolve().then(run);
    this.#runs.add(running);
    try {
      return await running;
    } finally {
      this.#runs.delete(running);
    }
  }

  async #attempt<T>(
    keys: readonly string[],
    work: TransactionWork<T>,
    attempts: number,
    signal: AbortSignal | undefined,
  ): Promise<TransactionOutcome<T>> {
    const { clock, random } = this.#parts;
    let to: TransactionRedirection | undefined;
    let redirections = 0;
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      this.#over.signal.throwIfAborted();
      const { server, asks } = to ?? { server: this.#holding(keys), asks: false };
      const end = await this.#attemptAt(server, asks, keys, attempt, work, signal);
      to = undefined;
      if (end.kind === 'committed') {
        return { outcome: 'committed', value: end.value, results: end.results, attempts: attempt };
      }
      if (end.kind === 'abandoned') {
        return { outcome: 'abandoned', reason: end.reason, attempts: attempt };
      }
      if (end.kind === 'redirected') {
        to = await this.#follow(end.error, keys, server);
        redirections += 1;
      }
      this.#counters.conflicts += end.kind === 'conflicted' ? 1 : 0;
      if (attempt >= attempts) {
        throw end.kind === 'conflicted' ? new RedisTransactionConflictError(attempts) : end.failure;
      }
      if (end.kind !== 'lost' && !(end.kind === 'redirected' && redirections <= MAX_REDIRECTIONS)) {
        const over = this.#over.signal;
        await clock.sleep(
          backoffDelayMs(BACKOFF, attempt, random),
          signal === undefined ? over : AbortSignal.any([signal, over]),
        );
      }
    }
  }

  async #attemptAt<T>(
    server: TransactionServer,
    asks: boolean,
    keys: readonly string[],
    attempt: number,
    work: TransactionWork<T>,
    signal: AbortSignal | undefined,
  ): Promise<AttemptEnd<T>> {
    const { servers, prefix, clock, options } = this.#parts;
    const { hasSlots } = servers;
    const { commandTimeoutMs, workTimeoutMs } = options;
    const connection = await this.#connect(server);
    this.#used.add(connection);
    try {
      this.#over.signal.throwIfAborted();
      const parts = {
        connection,
        keys,
        hasSlots,
        attempt,
        asks,
        prefix,
        commandTimeoutMs,
        workTimeoutMs,
        signal,
        clock,
      };
      return await new TransactionAttempt(parts).run(work);
    } finally {
      this.#used.delete(connection);
      this.#giveBack(server, connection);
    }
  }

  async #connect(server: TransactionServer): Promise<TransactionConnection> {
    const { commandTimeoutMs, maxConnections } = this.#parts.options;
    const kept = this.#idle.take(server);
    if (kept !== undefined) {
      return kept;
    }
    // Each run has one, or is about to; on a cluster the others may lead elsewhere.
    this.#idle.trim(maxConnections - this.#runs.size);
    try {
      return await server.open(commandTimeoutMs);
    } catch (cause) {
      throw new RedisTransactionUnavailableError('connect', cause, { ambiguous: false });
    }
  }

  #giveBack(server: TransactionServer, connection: TransactionConnection): void {
    if (this.#closing === undefined) {
      this.#idle.keep(server, connection);
    } else {
      connection.drop();
    }
  }

  #holding([key = '']: readonly string[]): TransactionServer {
    try {
      return this.#parts.servers.holding(key);
    } catch (cause) {
      throw new RedisTransactionUnavailableError('connect', cause, { ambiguous: false });
    }
  }

  async #follow(error: Error, keys: readonly string[], from: TransactionServer): Promise<TransactionRedirection> {
    const { servers } = this.#parts;
    if (!servers.hasSlots) {
      throw new RedisTransactionRefusedError(undefined, error);
    }
    let to: TransactionRedirection | undefined;
    try {
      to = await servers.redirected(error, keys[0] ?? '', from);
    } catch (cause) {
      throw new RedisTransactionUnavailableError('connect', cause, { ambiguous: false });
    }
    if (to === undefined) {
      throw new CrossSlotError(undefined, keys.length);
    }
    return to;
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) {
      throw new RedisTransactionsClosedError();
    }
  }
}

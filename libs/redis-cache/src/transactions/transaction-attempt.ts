import type { Clock, Timer } from '@smartpulse/resilience';
import {
  CrossSlotError,
  InvalidTransactionError,
  RedisTransactionRefusedError,
  RedisTransactionTimeoutError,
  RedisTransactionUnavailableError,
} from '../redis-cache.errors.js';
import {
  AbandonedTransaction,
  type CommandArgument,
  type QueuedResult,
  type RedisTransaction,
  type TransactionWork,
} from './redis-transaction.js';
import { refusalOf } from './refusals.js';
import { checkChange, checkCommand } from './transaction-keys.js';
import type { Command, CommandReply, TransactionConnection } from './transaction-servers.js';

const MAX_QUEUED = 10_000;

type Phase = 'watch' | 'read' | 'exec';

/** How an attempt ended that may be followed by another one, or not. */
export type AttemptEnd<T> =
  | { readonly kind: 'committed'; readonly value: T; readonly results: readonly QueuedResult[] }
  | { readonly kind: 'abandoned'; readonly reason: string }
  /** A watched key was changed meanwhile. */
  | { readonly kind: 'conflicted' }
  /** Another server has the key, as the error says. */
  | { readonly kind: 'redirected'; readonly error: Error; readonly failure: RedisTransactionUnavailableError }
  /** The server may do so in a moment, or another one in its place. */
  | { readonly kind: 'postponed'; readonly failure: RedisTransactionUnavailableError }
  /** The connection was lost before anything was changed. */
  | { readonly kind: 'lost'; readonly failure: RedisTransactionUnavailableError };

/** What an attempt is made of. */
export interface AttemptParts {
  readonly connection: TransactionConnection;
  readonly keys: readonly string[];
  /** Keys lie in the slots of a cluster. */
  readonly hasSlots: boolean;
  /** Which one it is. */
  readonly attempt: number;
  /** The server serves a slot that is on its way to it, when asked so. */
  readonly asks: boolean;
  readonly prefix: string;
  readonly commandTimeoutMs: number;
  readonly workTimeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
}

/**
 * One attempt of a transaction: `WATCH`, the work with its reads, then `MULTI`, what was queued and `EXEC` in one go. Afterwards the connection watches nothing
 * and can be used again, or it was dropped.
 */
export class TransactionAttempt {
  readonly #parts: AttemptParts;
  readonly #aborted = new AbortController();
  readonly #queued: Command[] = [];
  /** What makes it of no use to go on: the reason of an end that the work is not asked about. */
  #broken: Extract<AttemptEnd<never>, { readonly kind: 'redirected' | 'postponed' | 'lost' }> | undefined;
  /** What the run fails with, whatever the work does. */
  #failure: Error | undefined;
  #abandoned: AbandonedTransaction | undefined;
  #ended = false;

  constructor(parts: AttemptParts) {
    this.#parts = parts;
  }

  /** @throws the work's own error, the signal's reason, or one that another attempt would not mend. */
  async run<T>(work: TransactionWork<T>): Promise<AttemptEnd<T>> {
    const watched = await this.#send('watch', [['WATCH', ...this.#parts.keys]]);
    const refused = watched?.find((reply) => reply.kind === 'error');
    if (refused !== undefined) {
      this.#note('watch', 'WATCH', refused.error);
    }
    if (this.#isOver()) {
      return this.#over();
    }
    const worked = await this.#work(work);
    if (worked === undefined || this.#isOver()) {
      return this.#over();
    }
    const { value } = worked;
    if (this.#abandoned !== undefined) {
      await this.#unwatch();
      return { kind: 'abandoned', reason: this.#abandoned.reason };
    }
    if (value instanceof AbandonedTransaction) {
      await this.#unwatch();
      return { kind: 'abandoned', reason: value.reason };
    }
    return this.#exec(value);
  }

  /** `undefined`: the attempt is over, and the work failed of that. */
  async #work<T>(work: TransactionWork<T>): Promise<{ readonly value: T | AbandonedTransaction } | undefined> {
    const { signal, clock, workTimeoutMs } = this.#parts;
    let timer: Timer | undefined;
    let interrupt: (reason: unknown) => void = () => {};
    const interrupted = new Promise<never>((_, reject) => {
      interrupt = reject;
    });
    const onAbort = (): void => interrupt(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    const end = (): void => {
      this.#ended = true;
      timer?.cancel();
      signal?.removeEventListener('abort', onAbort);
    };
    try {
      signal?.throwIfAborted();
      timer = clock.setTimer(workTimeoutMs, () => {
        // It may have been about to read, and there is no telling how much it left behind.
        this.#parts.connection.drop();
        interrupt(new RedisTransactionTimeoutError(workTimeoutMs));
      });
      return { value: await Promise.race([work(this.#handle()), interrupted]) };
    } catch (error) {
      // At once, for it may go on: nothing of it comes behind what makes the connection ready for the next one.
      end();
      this.#aborted.abort(error);
      if (this.#isOver() && !RedisTransactionTimeoutError.is(error)) {
        // What broke the attempt is what the work failed of, or would have been stopped by.
        return undefined;
      }
      await this.#unwatch();
      throw error;
    } finally {
      end();
    }
  }

  #handle(): RedisTransaction {
    const { attempt } = this.#parts;
    return {
      attempt,
      signal: this.#aborted.signal,
      read: (command, ...parameters) => this.#read([command, ...parameters]),
      queue: (command, ...parameters) => this.#queue(command, parameters),
      abandon: (reason) => {
        this.#abandoned ??= new AbandonedTransaction(reason);
        return this.#abandoned;
      },
    };
  }

  async #read(command: Command): Promise<unknown> {
    this.#checkOpen();
    checkCommand(command[0]);
    const [reply] = (await this.#send('read', [command])) ?? [];
    if (reply?.kind === 'reply') {
      return reply.reply;
    }
    if (reply !== undefined) {
      this.#note('read', undefined, reply.error);
      throw reply.error;
    }
    throw (
      this.#failure ??
      this.#broken?.failure ??
      new RedisTransactionUnavailableError('read', undefined, { ambiguous: false })
    );
  }

  #queue(command: string, parameters: readonly CommandArgument[]): void {
    this.#checkOpen();
    checkChange(this.#parts.prefix, command, parameters);
    if (this.#queued.length === MAX_QUEUED) {
      throw new InvalidTransactionError(`more than ${MAX_QUEUED} commands are queued`);
    }
    this.#queued.push([command, ...parameters]);
  }

  #checkOpen(): void {
    if (this.#ended) {
      throw new InvalidTransactionError('its work has ended');
    }
  }

  async #exec<T>(value: T): Promise<AttemptEnd<T>> {
    const { keys, hasSlots } = this.#parts;
    // A server compares the slots of what is run together. That of a watched key is not among them, unless it is asked for, and another one may be elsewhere tomorrow.
    const anchor: readonly Command[] = hasSlots ? keys.slice(0, 1).map((key) => ['EXISTS', key]) : [];
    const commands: readonly Command[] = [['MULTI'], ...anchor, ...this.#queued, ['EXEC']];
    const replies = await this.#send('exec', commands);
    if (replies === undefined) {
      return this.#over();
    }
    const end = replies.at(-1);
    if (end?.kind !== 'reply') {
      // Refused as a whole: for what a command was refused for when it was queued, or by itself. There is no telling what it left behind.
      this.#parts.connection.drop();
      const at = replies.findIndex((reply) => reply.kind === 'error');
      const first = replies[at];
      const command = at === replies.length - 1 ? undefined : commands[at]?.[0];
      this.#note('exec', command, first?.kind === 'error' ? first.error : new Error('No answer.'));
      return this.#over();
    }
    if (end.reply === null) {
      return { kind: 'conflicted' };
    }
    const results: readonly unknown[] = Array.isArray(end.reply) ? end.reply : [end.reply];
    return {
      kind: 'committed',
      value,
      results: results
        .slice(anchor.length)
        .map((reply) => (reply instanceof Error ? { status: 'failed', error: reply } : { status: 'replied', reply })),
    };
  }

  async #unwatch(): Promise<void> {
    if (this.#parts.connection.usable) {
      // Where it does not get through, the connection has been dropped, and nothing was to be changed.
      await this.#send('watch', [['UNWATCH']]);
    }
  }

  /** Answers to all of them; `undefined` when the connection is lost, and how is noted. */
  async #send(phase: Phase, commands: readonly Command[]): Promise<readonly CommandReply[] | undefined> {
    const { connection, asks, clock, commandTimeoutMs } = this.#parts;
    if (!connection.usable) {
      this.#lost(phase, new Error('The connection was lost.'), false);
      return undefined;
    }
    let timer: Timer | undefined;
    const late = new Promise<'late'>((resolve) => {
      timer = clock.setTimer(commandTimeoutMs, () => resolve('late'));
    });
    try {
      const answered = await Promise.race([connection.send(asks ? [['ASKING'], ...commands] : commands), late]);
      if (answered !== 'late') {
        return asks ? answered.slice(1) : answered;
      }
      connection.drop();
      this.#failure ??= new RedisTransactionUnavailableError(
        phase,
        new Error(`No answer within ${commandTimeoutMs} ms.`),
        {
          ambiguous: phase === 'exec',
        },
      );
    } catch (error) {
      connection.drop();
      this.#lost(phase, error, phase === 'exec');
    } finally {
      timer?.cancel();
    }
    return undefined;
  }

  /** Nothing was changed unless it is ambiguous, and then no other attempt may follow. */
  #lost(phase: Phase, cause: unknown, ambiguous: boolean): void {
    const failure = new RedisTransactionUnavailableError(phase, cause, { ambiguous });
    if (ambiguous) {
      this.#failure ??= failure;
    } else {
      this.#broken ??= { kind: 'lost', failure };
    }
  }

  /** Takes up what the error of a server means for the attempt. What a read is refused for is for the work to judge. */
  #note(phase: Phase, command: string | undefined, error: Error): void {
    const { connection, keys } = this.#parts;
    const failure = new RedisTransactionUnavailableError(phase, error, { ambiguous: false });
    switch (refusalOf(error)) {
      case 'redirected':
        this.#broken ??= { kind: 'redirected', error, failure };
        break;
      case 'postponed':
        // Another connection may lead to who can.
        connection.drop();
        this.#broken ??= { kind: 'postponed', failure };
        break;
      case 'crossing':
        this.#failure ??= new CrossSlotError(undefined, keys.length);
        break;
      case 'refused':
        if (phase !== 'read') {
          this.#failure ??= new RedisTransactionRefusedError(command, error);
        }
        break;
    }
  }

  #isOver(): boolean {
    return this.#failure !== undefined || this.#broken !== undefined;
  }

  async #over(): Promise<AttemptEnd<never>> {
    await this.#unwatch();
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
    return this.#broken ?? { kind: 'conflicted' };
  }
}

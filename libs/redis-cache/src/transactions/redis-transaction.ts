/** What a command is made of besides its name. */
export type CommandArgument = string | number | Buffer;

/** What became of one queued command: all were run, whatever became of the others. */
export type QueuedResult =
  | { readonly status: 'replied'; readonly reply: unknown }
  /** The server refused this one when it came to it: `WRONGTYPE`, for example. */
  | { readonly status: 'failed'; readonly error: Error };

/** What became of a transaction. */
export type TransactionOutcome<T> =
  | {
      readonly outcome: 'committed';
      /** What the work answered. */
      readonly value: T;
      /** One for each queued command, in their order. */
      readonly results: readonly QueuedResult[];
      readonly attempts: number;
    }
  | { readonly outcome: 'abandoned'; readonly reason: string; readonly attempts: number };

/** What work answers that gives up by {@link RedisTransaction.abandon}. */
export class AbandonedTransaction {
  constructor(readonly reason: string) {}
}

/** One attempt, as the work sees it. It ends with the work: what is called afterwards is refused. */
export interface RedisTransaction {
  /** Which attempt this is; 1 is the first. */
  readonly attempt: number;
  /** Aborts when the caller's does, or the time of the work is over. */
  readonly signal: AbortSignal;
  /**
   * Reads at once. What it reads is part of the decision only when its key is watched; on a cluster it lies in the slot of the watched keys.
   *
   * @returns the reply as the server gives it: text, numbers, `null`, lists of those.
   * @throws the server's own error (`WRONGTYPE …`); {@link InvalidTransactionError} for a command that has no place here; {@link RedisTransactionUnavailableError}.
   */
  read(command: string, ...parameters: readonly CommandArgument[]): Promise<unknown>;
  /**
   * Adds a command to those that run together when the work has ended, if no watched key was changed.
   *
   * @throws {@link InvalidTransactionError} for a command that has no place here, a key of the module's own, or too many of them.
   */
  queue(command: string, ...parameters: readonly CommandArgument[]): void;
  /** Gives up: nothing is changed. What it answers is what the work returns. */
  abandon(reason: string): AbandonedTransaction;
}

/** What a transaction does: reads, decides, and queues what is to be changed. It runs again when a watched key was changed meanwhile, so it does nothing else. */
export type TransactionWork<T> = (transaction: RedisTransaction) => Promise<T | AbandonedTransaction>;

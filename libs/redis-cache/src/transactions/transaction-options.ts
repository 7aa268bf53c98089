/** The option `transactions` of a connection. */
export interface TransactionsOptions {
  /** Connections that are in use or kept for the next run: a transaction has one for itself while it lasts. Default 4. */
  readonly maxConnections?: number | undefined;
  /** Runs that may wait for one of those, first come first; one more is refused. Default 256. */
  readonly maxWaiting?: number | undefined;
  /** How long a run waits for a connection, milliseconds. Default 1,000. */
  readonly waitTimeoutMs?: number | undefined;
  /** Longest wait until a connection is made, and for one answer of the server, milliseconds. Default 1,000. */
  readonly commandTimeoutMs?: number | undefined;
  /** How long the work of one attempt may take, milliseconds. Default 5,000. */
  readonly workTimeoutMs?: number | undefined;
}

/** The defaults of {@link TransactionsOptions}. */
export const TRANSACTIONS_DEFAULTS = Object.freeze({
  maxConnections: 4,
  maxWaiting: 256,
  waitTimeoutMs: 1_000,
  commandTimeoutMs: 1_000,
  workTimeoutMs: 5_000,
} as const);

/** {@link TransactionsOptions} with their defaults filled in. */
export type TransactionBounds = { readonly [K in keyof TransactionsOptions]-?: NonNullable<TransactionsOptions[K]> };

/** Fills in what is not given. */
export function transactionBounds({
  maxConnections = TRANSACTIONS_DEFAULTS.maxConnections,
  maxWaiting = TRANSACTIONS_DEFAULTS.maxWaiting,
  waitTimeoutMs = TRANSACTIONS_DEFAULTS.waitTimeoutMs,
  commandTimeoutMs = TRANSACTIONS_DEFAULTS.commandTimeoutMs,
  workTimeoutMs = TRANSACTIONS_DEFAULTS.workTimeoutMs,
}: TransactionsOptions = {}): TransactionBounds {
  return { maxConnections, maxWaiting, waitTimeoutMs, commandTimeoutMs, workTimeoutMs };
}

/** How {@link RedisTransactions.run} goes. */
export interface RunTransactionOptions {
  /** How often the work may be run, because a watched key was changed or the connection was lost, before the run gives up. Default 10. */
  readonly attempts?: number | undefined;
  /** Ends the run with the signal's reason, unless what was queued is on its way already: then its outcome is answered. */
  readonly signal?: AbortSignal | undefined;
}

/** The defaults of {@link RunTransactionOptions}. */
export const RUN_TRANSACTION_DEFAULTS = Object.freeze({ attempts: 10 } as const);

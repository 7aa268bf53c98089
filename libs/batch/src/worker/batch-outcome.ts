/**
 * What became of one item of a batch. `retryable` is the handler's opinion for whoever submits again; the worker itself never retries.
 */
export type BatchOutcome<TResult> =
  | { readonly status: 'fulfilled'; readonly value: TResult }
  | { readonly status: 'rejected'; readonly error: Error; readonly retryable?: boolean | undefined };

/**
 * What a handler answers for a batch: one outcome per item, in their order. Where the items have no result, nothing says that all
 * succeeded.
 */
export type BatchAnswer<TResult> = readonly BatchOutcome<TResult>[] | NothingFor<NoInfer<TResult>>;

type NothingFor<TResult> = undefined extends TResult ? void : void extends TResult ? void : never;

/** What a handler is told about the batch it gets. */
export interface BatchContext {
  /** Aborts when a drain has used up its time: stop and throw. */
  readonly signal: AbortSignal;
  /** Unique per batch, for logs; the parts that a batch is halved into keep it. */
  readonly batchId: string;
  /** How many times the handler has been given these items, from 1; above 1 only while a failure is isolated. */
  readonly attempt: number;
}

/** The result of an item whose handler answered nothing at all: `undefined`, which the types of the handler allow for `void` only. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller's result type stands for void here
export function nothing<TResult>(): TResult {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a handler may answer nothing only where TResult is void
  return undefined as TResult;
}

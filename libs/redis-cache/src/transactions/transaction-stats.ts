import {
  RedisTransactionConflictError,
  RedisTransactionsBusyError,
  RedisTransactionUnavailableError,
} from '../redis-cache.errors.js';

/** How runs ended. `rejected`: there was no connection for it; `failed`: by the work's own error, or a mistake in it. */
export const TRANSACTION_ENDS = [
  'committed',
  'abandoned',
  'conflicted',
  'unavailable',
  'ambiguous',
  'rejected',
  'failed',
] as const;

/** One of {@link TRANSACTION_ENDS}. */
export type TransactionEnd = (typeof TRANSACTION_ENDS)[number];

/** Plain counts since the start: runs by their end, and attempts that met a change of a watched key. */
export type TransactionStats = Readonly<Record<TransactionEnd | 'conflicts', number>>;

export function startCounting(): Record<TransactionEnd | 'conflicts', number> {
  return {
    committed: 0,
    abandoned: 0,
    conflicted: 0,
    unavailable: 0,
    ambiguous: 0,
    rejected: 0,
    failed: 0,
    conflicts: 0,
  };
}

/** How a run ended that was not answered. */
export function endOf(error: unknown): TransactionEnd {
  if (RedisTransactionUnavailableError.is(error)) {
    return error.ambiguous ? 'ambiguous' : 'unavailable';
  }
  if (RedisTransactionConflictError.is(error)) {
    return 'conflicted';
  }
  return RedisTransactionsBusyError.is(error) ? 'rejected' : 'failed';
}

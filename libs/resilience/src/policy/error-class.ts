import { BulkheadFullError, CircuitOpenError, SyncMethodError } from '../resilience.errors.js';

/**
 * What an error says. `refused`: by a policy, here or deeper. `aborted`: somebody gave up. `defect`: of our own code, it will fail again.
 * `trouble`: of the other side.
 */
export type ErrorClass = 'refused' | 'aborted' | 'defect' | 'trouble';

/** Classifies what work has thrown. */
export function classify(error: unknown): ErrorClass {
  if (CircuitOpenError.is(error) || BulkheadFullError.is(error)) {
    return 'refused';
  }
  if (error instanceof Error && error.name === 'AbortError') {
    return 'aborted';
  }
  if (error instanceof ReferenceError || SyncMethodError.is(error)) {
    return 'defect';
  }
  // fetch reports a network failure as a TypeError, with the failure as its cause: that one is trouble.
  return error instanceof TypeError && error.cause === undefined ? 'defect' : 'trouble';
}

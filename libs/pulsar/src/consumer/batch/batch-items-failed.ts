import { SmartPulseError } from '@smartpulse/resilience';
import { PulsarError } from '../../pulsar.errors.js';

/** One item of a batch that could not be handled. */
export interface BatchItemFailure {
  /** Its place in the array that the handler got, from 0. */
  readonly index: number;
  /** Why: counts and is reported as if a handler of this one message had thrown it. */
  readonly error: unknown;
}

/**
 * Thrown by a batch handler that has handled all items but these: the others are acknowledged, these are handled again, each with its own
 * attempts, back-off and dead letter. An index that the batch does not have makes the whole batch count as failed.
 *
 * @example
 * ```ts
 * const outcomes = await Promise.allSettled(readings.map((reading) => this.store(reading)));
 * throw new BatchItemsFailed(
 *   outcomes.flatMap((outcome, index) => (outcome.status === 'rejected' ? [{ index, error: outcome.reason as unknown }] : [])),
 * );
 * ```
 */
export class BatchItemsFailed extends PulsarError {
  static readonly code = 'SMARTPULSE_PULSAR_BATCH_ITEMS_FAILED';
  /** None: all are handled. */
  readonly failures: readonly BatchItemFailure[];

  constructor(failures: readonly BatchItemFailure[]) {
    super(BatchItemsFailed.code, `${failures.length} items of a batch could not be handled.`, {
      kind: 'transient',
      remedy: 'See the errors of the items; they are handled again on their own.',
      cause: failures[0]?.error,
    });
    this.failures = [...failures];
  }

  static override is(this: void, error: unknown): error is BatchItemsFailed {
    return SmartPulseError.hasCode(error, BatchItemsFailed.code);
  }
}

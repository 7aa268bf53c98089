import type { WireErrorKind } from '../pulsar-wire.errors.js';

/** An error code of the broker. */
export interface ServerError {
  readonly code: number;
  /** The broker's own name for it. */
  readonly name: string;
  /** What to do, unless the command that failed says otherwise. */
  readonly kind: WireErrorKind;
}

const TABLE: readonly (readonly [name: string, kind: WireErrorKind])[] = [
  // Also carries wrapped internal faults of the broker.
  ['UnknownError', 'transient'],
  ['MetadataError', 'transient'],
  ['PersistenceError', 'transient'],
  ['AuthenticationError', 'permanent'],
  ['AuthorizationError', 'permanent'],
  // A predecessor may still be dying: try again when re-attaching, report at once on a first attempt.
  ['ConsumerBusy', 'recreate'],
  // The normal answer while a topic moves.
  ['ServiceNotReady', 'transient'],
  ['ProducerBlockedQuotaExceededError', 'backpressure'],
  ['ProducerBlockedQuotaExceededException', 'backpressure'],
  ['ChecksumError', 'permanent'],
  ['UnsupportedVersionError', 'permanent'],
  ['TopicNotFound', 'permanent'],
  ['SubscriptionNotFound', 'permanent'],
  ['ConsumerNotFound', 'permanent'],
  ['TooManyRequests', 'backpressure'],
  ['TopicTerminatedError', 'permanent'],
  ['ProducerBusy', 'recreate'],
  ['InvalidTopicName', 'permanent'],
  ['IncompatibleSchema', 'permanent'],
  ['ConsumerAssignError', 'permanent'],
  // The coordinator moved: look it up again.
  ['TransactionCoordinatorNotFound', 'transient'],
  ['InvalidTxnStatus', 'permanent'],
  ['NotAllowedError', 'permanent'],
  ['TransactionConflict', 'permanent'],
  ['TransactionNotFound', 'permanent'],
  ['ProducerFenced', 'permanent'],
];

/** Every error code that we know, by number. */
export const SERVER_ERRORS: readonly ServerError[] = Object.freeze(
  TABLE.map(([name, kind], code) => Object.freeze({ code, name, kind })),
);

/** What a code of the broker means; a code of a newer broker is worth another attempt. */
export function serverError(code: number): ServerError {
  return SERVER_ERRORS[code] ?? { code, name: `Error${code}`, kind: 'transient' };
}

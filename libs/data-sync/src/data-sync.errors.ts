import { SmartPulseError } from '@smartpulse/resilience';

/** The key function of a sync reads a column that a deleted row no longer has. */
export class KeyNotFromPrimaryKeyError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_KEY_NOT_FROM_PRIMARY_KEY';
  readonly code = KeyNotFromPrimaryKeyError.code;

  /**
   * @param contract the change contract's name.
   * @param column what the function asked for.
   * @param primaryKey what it may ask for.
   */
  constructor(
    readonly contract: string,
    readonly column: string,
    readonly primaryKey: readonly string[],
  ) {
    super(
      `The key of "${contract}" reads "${column}", which is no column of the primary key (${primaryKey.join(', ')}).`,
      { remedy: 'Build the key from primary-key columns only: of a deleted row nothing else is known.' },
    );
  }

  static is(error: unknown): error is KeyNotFromPrimaryKeyError {
    return SmartPulseError.hasCode(error, KeyNotFromPrimaryKeyError.code);
  }
}

/** A key function answered something that is no key. */
export class InvalidKeyTextError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_INVALID_KEY_TEXT';
  readonly code = InvalidKeyTextError.code;

  constructor(
    readonly contract: string,
    problem: string,
    cause?: unknown,
  ) {
    super(`The key of "${contract}" ${problem}.`, {
      remedy:
        'A key is 1 to 512 bytes of text, the same at every call, without white space and { } *; `cacheKey(...)` of redis-cache escapes them.',
      cause,
    });
  }

  static is(error: unknown): error is InvalidKeyTextError {
    return SmartPulseError.hasCode(error, InvalidKeyTextError.code);
  }
}

/** A text is no instant, or one whose place in time is unknown because it has no offset. */
export class InvalidInstantError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_INVALID_INSTANT';
  readonly code = InvalidInstantError.code;

  constructor(problem: string) {
    super(`The instant ${problem}.`, {
      remedy:
        'Give an instant with its offset, `2026-03-29T01:30:00+01:00`, or in UTC, `2026-03-29T00:30:00.000Z`; `utcInstant` makes the one text of it.',
    });
  }

  static is(error: unknown): error is InvalidInstantError {
    return SmartPulseError.hasCode(error, InvalidInstantError.code);
  }
}

/** A column's value cannot travel: it has no text of its own on the wire. */
export class UnencodableValueError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_UNENCODABLE_VALUE';
  readonly code = UnencodableValueError.code;

  constructor(
    readonly column: string,
    found: string,
  ) {
    super(`Column "${column}" holds ${found}, which an envelope cannot carry.`, {
      remedy: 'Hand out text, finite numbers, big integers, booleans, bytes or null.',
    });
  }

  static is(error: unknown): error is UnencodableValueError {
    return SmartPulseError.hasCode(error, UnencodableValueError.code);
  }
}

/** A message is no change envelope of format 1. */
export class MalformedEnvelopeError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_MALFORMED_ENVELOPE';
  readonly code = MalformedEnvelopeError.code;

  /** @param problem what is wrong and where; never a value. */
  constructor(
    readonly problem: string,
    cause?: unknown,
  ) {
    super(`The message is no change envelope: ${problem}.`, {
      remedy: 'Find out who else publishes to this topic; a newer format needs a newer reader.',
      cause,
    });
  }

  static is(error: unknown): error is MalformedEnvelopeError {
    return SmartPulseError.hasCode(error, MalformedEnvelopeError.code);
  }
}

/** A row does not fit the contract's schema, or a sync's `value` threw at it. */
export class RowNotReadableError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_ROW_NOT_READABLE';
  readonly code = RowNotReadableError.code;

  constructor(
    readonly contract: string,
    problem: string,
    cause?: unknown,
  ) {
    super(`A row of "${contract}" cannot be read: ${problem}.`, {
      remedy:
        'Make the schema accept what the table holds (decimals and big integers are text), then replay the dead letter.',
      cause,
    });
  }

  static is(error: unknown): error is RowNotReadableError {
    return SmartPulseError.hasCode(error, RowNotReadableError.code);
  }
}

/** A change claims a version that its database has not reached: it was not born there. */
export class UntrustedStampError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_UNTRUSTED_STAMP';
  readonly code = UntrustedStampError.code;

  constructor(
    readonly source: string,
    readonly claimed: string,
    readonly current: string,
  ) {
    super(`A change of "${source}" is stamped ${claimed}, but the source is at ${current}.`, {
      remedy: 'Find out who publishes to this topic, or which copy of the database; nothing was written to the cache.',
    });
  }

  static is(error: unknown): error is UntrustedStampError {
    return SmartPulseError.hasCode(error, UntrustedStampError.code);
  }
}

/** The source of stamps does not answer: an outage, not a fault of the message. */
export class StampSourceSilentError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_STAMP_SOURCE_SILENT';
  readonly code = StampSourceSilentError.code;

  constructor(cause: unknown) {
    super('The database does not say its current version, so no change can be trusted now.', {
      remedy: 'Restore the connection; the change is offered again without an attempt being spent.',
      cause,
    });
  }

  static is(error: unknown): error is StampSourceSilentError {
    return SmartPulseError.hasCode(error, StampSourceSilentError.code);
  }
}

/** A sync was used that this app has not been given. */
export class SyncNotRegisteredError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_SYNC_NOT_REGISTERED';
  readonly code = SyncNotRegisteredError.code;

  constructor(readonly sync: string) {
    super(`The sync "${sync}" is not registered in this app.`, {
      remedy:
        'Pass it to DataSyncModule.forFeature([...], { roles: [] }) and its cache to RedisCacheModule.forFeature.',
    });
  }

  static is(error: unknown): error is SyncNotRegisteredError {
    return SmartPulseError.hasCode(error, SyncNotRegisteredError.code);
  }
}

/** A row of an outbox table cannot be published. */
export class OutboxRowError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_OUTBOX_ROW';
  readonly code = OutboxRowError.code;

  constructor(
    readonly table: string,
    problem: string,
    cause?: unknown,
  ) {
    super(`A row of the outbox "${table}" ${problem}.`, {
      remedy: 'Write rows through the outbox definition (`outbox.row(...)`), and delete none before it was relayed.',
      cause,
    });
  }

  static is(error: unknown): error is OutboxRowError {
    return SmartPulseError.hasCode(error, OutboxRowError.code);
  }
}

/** The flow did not become quiet in time. */
export class NotQuietError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_NOT_QUIET';
  readonly code = NotQuietError.code;

  constructor(
    readonly timeoutMs: number,
    readonly reasons: readonly string[],
  ) {
    super(`The synchronisation is not quiet after ${timeoutMs} ms: ${reasons.join('; ')}.`, {
      remedy: 'Wait longer, or stop the writers first.',
    });
  }

  static is(error: unknown): error is NotQuietError {
    return SmartPulseError.hasCode(error, NotQuietError.code);
  }
}

/** A stored checkpoint cannot be read: it is damaged, or of another format. */
export class MalformedCheckpointError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CHECKPOINT_MALFORMED';
  readonly code = MalformedCheckpointError.code;

  constructor(cause: unknown) {
    super('A stored checkpoint cannot be read.', {
      remedy:
        'Use the version of @smartpulse/data-sync that wrote it, or delete the record: the table is then read anew.',
      cause,
    });
  }

  static is(error: unknown): error is MalformedCheckpointError {
    return SmartPulseError.hasCode(error, MalformedCheckpointError.code);
  }
}

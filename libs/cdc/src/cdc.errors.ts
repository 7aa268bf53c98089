import { SmartPulseError } from '@smartpulse/resilience';
import type { ResyncReason } from './sink/change.sink.js';

/** The table exists, but its changes are not recorded (any more), so nothing can be read after a position. */
export class TableNotTrackedError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_TABLE_NOT_TRACKED';
  readonly code = TableNotTrackedError.code;

  /**
   * @param table as configured, `schema.name`.
   * @param source the database's name.
   * @param remedy how this source begins to track a table; default: a sentence that fits every source.
   */
  constructor(
    readonly table: string,
    readonly source: string,
    remedy?: string,
  ) {
    super(`Changes of table "${table}" are not tracked in "${source}".`, {
      remedy: remedy ?? `Enable change tracking for "${table}", or correct the table's name.`,
    });
  }

  static is(error: unknown): error is TableNotTrackedError {
    return SmartPulseError.hasCode(error, TableNotTrackedError.code);
  }
}

/** The database has no such table, or does not show it to this login. */
export class TableNotFoundError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_TABLE_NOT_FOUND';
  readonly code = TableNotFoundError.code;

  constructor(
    readonly table: string,
    readonly source: string,
  ) {
    super(`Table "${table}" was not found in "${source}".`, {
      remedy:
        'Create it before trackers start, correct its name (schema.name), or grant the login the right to see it.',
    });
  }

  static is(error: unknown): error is TableNotFoundError {
    return SmartPulseError.hasCode(error, TableNotFoundError.code);
  }
}

/** A table without a primary key cannot be followed: its rows have no identity. */
export class PrimaryKeyMissingError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_PRIMARY_KEY_MISSING';
  readonly code = PrimaryKeyMissingError.code;

  constructor(
    readonly table: string,
    readonly source: string,
  ) {
    super(`Table "${table}" of "${source}" has no primary key.`, { remedy: `Give "${table}" a primary key.` });
  }

  static is(error: unknown): error is PrimaryKeyMissingError {
    return SmartPulseError.hasCode(error, PrimaryKeyMissingError.code);
  }
}

/**
 * A page was asked for after a position that clean-up has overtaken. A source may throw it from `readPage` instead of answering a
 * page whose state says so; the tracker reads the table anew either way.
 */
export class CheckpointExpiredError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_CHECKPOINT_EXPIRED';
  readonly code = CheckpointExpiredError.code;

  constructor(
    readonly table: string,
    readonly position: bigint,
    readonly minValidVersion: bigint,
  ) {
    super(
      `Changes of "${table}" after version ${position} are cleaned up: the oldest position left is ${minValidVersion}.`,
      {
        remedy: 'Read the table anew, and keep changes for longer than the longest outage.',
      },
    );
  }

  static is(error: unknown): error is CheckpointExpiredError {
    return SmartPulseError.hasCode(error, CheckpointExpiredError.code);
  }
}

/** The position cannot be continued and the tracker's bootstrap mode is `initial`: it waits for `resync()`. */
export class ResyncRequiredError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_RESYNC_REQUIRED';
  readonly code = ResyncRequiredError.code;

  constructor(
    readonly table: string,
    readonly consumer: string,
    readonly reason: ResyncReason,
  ) {
    super(`The position of consumer "${consumer}" in table "${table}" cannot be continued (${reason}).`, {
      remedy: `Call CdcRegistry.resync('${table}', '${consumer}') when the consumer is ready for the whole table, or set bootstrap to "whenNeeded".`,
    });
  }

  static is(error: unknown): error is ResyncRequiredError {
    return SmartPulseError.hasCode(error, ResyncRequiredError.code);
  }
}

/** The database's counter went back and its source cannot begin a new epoch, so new stamps would look older than old ones. */
export class EpochNotRaisedError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_EPOCH_NOT_RAISED';
  readonly code = EpochNotRaisedError.code;

  constructor(
    readonly source: string,
    readonly epoch: bigint,
  ) {
    super(
      `The version counter of "${source}" went back inside epoch ${epoch}, and its source cannot begin a new one.`,
      {
        remedy: 'Raise the epoch where the database keeps it; every table of that database is then read anew.',
      },
    );
  }

  static is(error: unknown): error is EpochNotRaisedError {
    return SmartPulseError.hasCode(error, EpochNotRaisedError.code);
  }
}

/** Two trackers were asked for with one consumer and one table: they would share a checkpoint. */
export class DuplicateTrackerError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_DUPLICATE_TRACKER';
  readonly code = DuplicateTrackerError.code;

  constructor(
    readonly table: string,
    readonly consumer: string,
  ) {
    super(`Table "${table}" is already tracked for consumer "${consumer}".`, {
      remedy: 'Give the second tracker a consumer name of its own.',
    });
  }

  static is(error: unknown): error is DuplicateTrackerError {
    return SmartPulseError.hasCode(error, DuplicateTrackerError.code);
  }
}

/** No tracker has this table and consumer. */
export class UnknownTrackerError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_UNKNOWN_TRACKER';
  readonly code = UnknownTrackerError.code;

  constructor(
    readonly table: string,
    readonly consumer: string,
  ) {
    super(`Table "${table}" is not tracked for consumer "${consumer}".`, {
      remedy: 'CdcRegistry.list() shows the trackers of this app.',
    });
  }

  static is(error: unknown): error is UnknownTrackerError {
    return SmartPulseError.hasCode(error, UnknownTrackerError.code);
  }
}

/** A resync was asked of a tracker that does not hold its table's lease now, or that lost it before the resync was complete. */
export class TrackerNotLeadingError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_TRACKER_NOT_LEADING';
  readonly code = TrackerNotLeadingError.code;

  constructor(
    readonly table: string,
    readonly consumer: string,
  ) {
    super(`The tracker of "${table}" for "${consumer}" does not hold the table's lease.`, {
      remedy: 'Ask the replica that holds it, or again when this one does.',
    });
  }

  static is(error: unknown): error is TrackerNotLeadingError {
    return SmartPulseError.hasCode(error, TrackerNotLeadingError.code);
  }
}

/** An adapter behind a port broke what the port promises; nothing was checkpointed. */
export class PortContractError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_PORT_CONTRACT';
  readonly code = PortContractError.code;

  /** @param port `ChangeSource` or `ChangeSink`. */
  constructor(
    readonly port: string,
    readonly table: string,
    problem: string,
  ) {
    super(`The ${port} of "${table}" ${problem}.`, {
      remedy: `Run the contract suite of ${port} (@smartpulse/cdc/testing) on the adapter.`,
    });
  }

  static is(error: unknown): error is PortContractError {
    return SmartPulseError.hasCode(error, PortContractError.code);
  }
}

import { SmartPulseError } from '@smartpulse/resilience';

/** The name of a table or schema cannot be put into a statement. */
export class SqlServerNameError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CDC_SQL_SERVER_NAME';
  readonly code = SqlServerNameError.code;

  /** @param expected the form that the name must have. */
  constructor(
    readonly given: string,
    kind: 'table' | 'schema',
    expected: string,
  ) {
    super(`The ${kind} name "${given}" is not of the form ${expected} with plain identifiers.`, {
      remedy:
        'Use letters, digits, "_", "$", "#" and "@", beginning with a letter or "_"; the names are quoted, and cannot be parameters.',
    });
  }

  static is(error: unknown): error is SqlServerNameError {
    return SmartPulseError.hasCode(error, SqlServerNameError.code);
  }
}

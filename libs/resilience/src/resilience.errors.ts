/** What every error of these packages carries. */
export interface SmartPulseErrorDetails {
  /** What to do about it: a full sentence, added to the message. */
  readonly remedy: string;
  /** The error underneath, if any. */
  readonly cause?: unknown;
}

/**
 * The base of all errors of these packages: a stable `code`, and a message that says what is wrong and how to mend it. Tell them apart
 * by `code` or by the guard `is` of the class, which also holds across two copies of a package.
 */
export abstract class SmartPulseError extends Error {
  /** Stable: `SMARTPULSE_…`. */
  abstract readonly code: string;
  /** What to do about it. */
  readonly remedy: string;

  protected constructor(problem: string, details: SmartPulseErrorDetails) {
    super(`${problem} ${details.remedy}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.remedy = details.remedy;
  }

  /** Whether `error` carries this code; the guards of the classes are made of it. */
  protected static hasCode(error: unknown, code: string): boolean {
    return error instanceof Error && 'code' in error && error.code === code;
  }
}

/** One thing that is wrong in a configuration. */
export interface ConfigurationIssue {
  /** The option's path, `producer.maxPendingMessages`; empty for the whole. */
  readonly option: string;
  /** What was found (a shape, never the value) and what is expected. */
  readonly problem: string;
}

/** The configuration of a module is wrong: thrown at start, lists everything that was found, never shows a value. */
export class ConfigurationError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CONFIGURATION';
  readonly code = ConfigurationError.code;

  /**
   * @param owner what was configured, `PulsarModule.forRoot`.
   * @param issues everything that is wrong, at least one.
   * @param remedy how to mend it, where the issues alone do not say it.
   */
  constructor(
    readonly owner: string,
    readonly issues: readonly ConfigurationIssue[],
    remedy?: string,
  ) {
    super(
      `${owner}: ${issues.map(({ option, problem }) => (option === '' ? problem : `option "${option}": ${problem}`)).join('; ')}.`,
      { remedy: remedy ?? `Correct ${issues.length === 1 ? 'it' : 'them'} where ${owner} is called and start again.` },
    );
  }

  static is(error: unknown): error is ConfigurationError {
    return SmartPulseError.hasCode(error, ConfigurationError.code);
  }
}

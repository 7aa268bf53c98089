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

/** A phase of the shutdown has used up its time; it is the reason of the signal that tasks are given. */
export class ShutdownTimeoutError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_SHUTDOWN_TIMEOUT';
  readonly code = ShutdownTimeoutError.code;

  /** @param timeoutMs what the step was given, in milliseconds. */
  constructor(
    readonly step: string,
    readonly timeoutMs: number,
  ) {
    super(`The shutdown step "${step}" has used up its ${timeoutMs} ms.`, {
      remedy: `Report what is left over now, or raise the time of "${step}" in the shutdown options.`,
    });
  }

  static is(error: unknown): error is ShutdownTimeoutError {
    return SmartPulseError.hasCode(error, ShutdownTimeoutError.code);
  }
}

/** There is no policy of this name. */
export class UnknownPolicyError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_UNKNOWN_POLICY';
  readonly code = UnknownPolicyError.code;

  /**
   * @param policy the name that was asked for.
   * @param known the names there are.
   * @param usedBy who asked, where it is known: `OrderService.pay`.
   */
  constructor(
    readonly policy: string,
    readonly known: readonly string[],
    usedBy?: string,
  ) {
    const who = usedBy === undefined ? '' : ` (used by ${usedBy})`;
    const names = known.length === 0 ? 'there are none' : `known are ${known.map((name) => `"${name}"`).join(', ')}`;
    super(`There is no policy "${policy}"${who}: ${names}.`, {
      remedy: `Add it to ResilienceModule.forRoot({ policies: { '${policy}': { … } } }), or correct the name.`,
    });
  }

  static is(error: unknown): error is UnknownPolicyError {
    return SmartPulseError.hasCode(error, UnknownPolicyError.code);
  }
}

/** A method with `@Resilient` answered something that is no promise; a retry or a time-out cannot hold for it. */
export class SyncMethodError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_SYNC_METHOD';
  readonly code = SyncMethodError.code;

  /** @param method `OrderService.pay`. */
  constructor(readonly method: string) {
    super(`${method} has @Resilient but does not answer a promise.`, {
      remedy: 'Make it async, or take @Resilient away.',
    });
  }

  static is(error: unknown): error is SyncMethodError {
    return SmartPulseError.hasCode(error, SyncMethodError.code);
  }
}

/** A method with `@Resilient` was called on an object that Nest has not made, so that it has no registry. */
export class UnmanagedInstanceError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_UNMANAGED_INSTANCE';
  readonly code = UnmanagedInstanceError.code;

  /** @param method `OrderService.pay`. */
  constructor(readonly method: string) {
    super(`${method} has @Resilient, but its object was not made by Nest and has no ResilienceRegistry.`, {
      remedy: 'Let Nest create it as a provider, or call registry.get(name).execute(…) by hand.',
    });
  }

  static is(error: unknown): error is UnmanagedInstanceError {
    return SmartPulseError.hasCode(error, UnmanagedInstanceError.code);
  }
}

/** The circuit of a policy lets nobody through at the moment. It is made without a stack: refusing has to be cheap. */
export class CircuitOpenError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CIRCUIT_OPEN';
  readonly code = CircuitOpenError.code;

  /**
   * @param state where the circuit is: `open`, `halfOpen` or `isolated`.
   * @param retryAfterMs when it is worth asking again, in milliseconds; Infinity while it is isolated.
   */
  constructor(
    readonly policy: string,
    readonly state: string,
    readonly retryAfterMs: number,
  ) {
    super(`The circuit of policy "${policy}" is ${state}.`, { remedy: 'Try again after `retryAfterMs`.' });
  }

  /** Without a stack trace, which would cost several times as much as all the rest. */
  static light(policy: string, circuit: { readonly state: string; readonly retryAfterMs: number }): CircuitOpenError {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    try {
      return new CircuitOpenError(policy, circuit.state, circuit.retryAfterMs);
    } finally {
      Error.stackTraceLimit = limit;
    }
  }

  static is(error: unknown): error is CircuitOpenError {
    return SmartPulseError.hasCode(error, CircuitOpenError.code);
  }
}

/** All places of a policy's bulkhead are taken, and all places to wait too. */
export class BulkheadFullError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_BULKHEAD_FULL';
  readonly code = BulkheadFullError.code;

  constructor(
    readonly policy: string,
    readonly limit: number,
    readonly queueLimit: number,
  ) {
    super(`The bulkhead of policy "${policy}" is full: ${limit} run and ${queueLimit} wait.`, {
      remedy: 'Slow down, or raise `bulkhead.limit` or `bulkhead.queueLimit`.',
    });
  }

  static is(error: unknown): error is BulkheadFullError {
    return SmartPulseError.hasCode(error, BulkheadFullError.code);
  }
}

/** A run (`attempt`) or a whole call (`total`) has used up its time. The cause is the last error of the work, where there was one. */
export class PolicyTimeoutError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_POLICY_TIMEOUT';
  readonly code = PolicyTimeoutError.code;

  constructor(
    readonly policy: string,
    readonly scope: 'attempt' | 'total',
    readonly timeoutMs: number,
    cause?: unknown,
  ) {
    super(`Policy "${policy}": the ${scope === 'attempt' ? 'attempt' : 'call'} has used up its ${timeoutMs} ms.`, {
      remedy: `Find out why it takes so long, or raise \`${scope}TimeoutMs\`.`,
      cause,
    });
  }

  static is(error: unknown): error is PolicyTimeoutError {
    return SmartPulseError.hasCode(error, PolicyTimeoutError.code);
  }
}

import { SmartPulseError } from '@smartpulse/resilience';

/** A version is negative, too large, or its text form is not 45 decimal digits. */
export class InvalidEntryVersionError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CACHE_VERSION_INVALID';
  readonly code = InvalidEntryVersionError.code;

  constructor(found: string) {
    super(`"${found.slice(0, 80)}" is not a version of a cache entry.`, {
      remedy:
        'Versions come from the database: epoch below 10^10, version below 2^80, minor below 10^10, none negative.',
    });
  }

  static is(error: unknown): error is InvalidEntryVersionError {
    return SmartPulseError.hasCode(error, InvalidEntryVersionError.code);
  }
}

/** A key, prefix or namespace name cannot be used: it would break out of its place in the store. */
export class InvalidCacheKeyError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CACHE_KEY_INVALID';
  readonly code = InvalidCacheKeyError.code;

  /**
   * @param part what is wrong: `key`, `group`, `tag`, `prefix`, `name` or `field`.
   * @param problem what was found, without the text itself.
   */
  constructor(
    readonly part: string,
    problem: string,
  ) {
    super(`The cache ${part} ${problem}.`, {
      remedy: 'Build keys that hold data with cacheKey(...segments), which escapes.',
    });
  }

  static is(error: unknown): error is InvalidCacheKeyError {
    return SmartPulseError.hasCode(error, InvalidCacheKeyError.code);
  }
}

/** An encoded value is larger than the limit. `set` and `refresh` throw it; `getOrLoad` answers the value and counts it. */
export class CachePayloadTooLargeError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CACHE_PAYLOAD_TOO_LARGE';
  readonly code = CachePayloadTooLargeError.code;

  constructor(
    readonly namespace: string,
    readonly bytes: number,
    readonly maxBytes: number,
  ) {
    super(`A value of the cache "${namespace}" has ${bytes} bytes encoded, ${maxBytes} are allowed.`, {
      remedy: 'Split the value over several keys, or leave out what readers do not need.',
    });
  }

  static is(error: unknown): error is CachePayloadTooLargeError {
    return SmartPulseError.hasCode(error, CachePayloadTooLargeError.code);
  }
}

/** A hash would have more fields than its namespace allows. `setFields` throws it and writes nothing; `getOrLoad` answers the fields and does not store them. */
export class CacheTooManyFieldsError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CACHE_TOO_MANY_FIELDS';
  readonly code = CacheTooManyFieldsError.code;

  constructor(
    readonly namespace: string,
    readonly maxFields: number,
  ) {
    super(`A hash of the cache "${namespace}" would have more than ${maxFields} fields, tombstones among them.`, {
      remedy:
        'Raise maxFields, or let the key divide the rows more finely. Invalidating the key makes room of tombstones.',
    });
  }

  static is(error: unknown): error is CacheTooManyFieldsError {
    return SmartPulseError.hasCode(error, CacheTooManyFieldsError.code);
  }
}

/** The codec of a namespace cannot turn a value into text (a bigint or a cycle in JSON, for example). */
export class CacheValueNotEncodableError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CACHE_VALUE_NOT_ENCODABLE';
  readonly code = CacheValueNotEncodableError.code;

  constructor(
    readonly namespace: string,
    cause: unknown,
  ) {
    super(`A value of the cache "${namespace}" cannot be encoded.`, {
      remedy: 'Give the namespace a codec that knows the type, or store text instead of bigint.',
      cause,
    });
  }

  static is(error: unknown): error is CacheValueNotEncodableError {
    return SmartPulseError.hasCode(error, CacheValueNotEncodableError.code);
  }
}

/** The store did not answer, or not in time. What was asked may have been done. An outage, not a fault of the call. */
export class CacheStoreUnavailableError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CACHE_STORE_UNAVAILABLE';
  readonly code = CacheStoreUnavailableError.code;

  constructor(
    readonly operation: string,
    cause: unknown,
  ) {
    super(`The cache store failed at "${operation}".`, {
      remedy: 'Look at the store and the network to it; every operation may be repeated, versions make that safe.',
      cause,
    });
  }

  /** Without a stack trace: in an outage it is made for every call. */
  static light(operation: string, cause: unknown): CacheStoreUnavailableError {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    try {
      return new CacheStoreUnavailableError(operation, cause);
    } finally {
      Error.stackTraceLimit = limit;
    }
  }

  static is(error: unknown): error is CacheStoreUnavailableError {
    return SmartPulseError.hasCode(error, CacheStoreUnavailableError.code);
  }
}

/** A loader did not end in time; its signal is aborted and its lease is given back. */
export class CacheLoadTimeoutError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CACHE_LOAD_TIMEOUT';
  readonly code = CacheLoadTimeoutError.code;

  constructor(
    readonly namespace: string,
    readonly timeoutMs: number,
  ) {
    super(`A loader of the cache "${namespace}" did not end within ${timeoutMs} ms.`, {
      remedy: 'Make the query faster, hand the signal on to it, or raise loadTimeoutMs.',
    });
  }

  static is(error: unknown): error is CacheLoadTimeoutError {
    return SmartPulseError.hasCode(error, CacheLoadTimeoutError.code);
  }
}

/** The store is down and more loaders wait than the bound allows. */
export class CacheOverloadedError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CACHE_OVERLOADED';
  readonly code = CacheOverloadedError.code;

  constructor(
    readonly namespace: string,
    readonly limit: number,
  ) {
    super(`The store of the cache "${namespace}" is down and ${limit} loads are waiting already.`, {
      remedy: 'Answer 503 and let the caller come again; the bound protects the database.',
    });
  }

  static is(error: unknown): error is CacheOverloadedError {
    return SmartPulseError.hasCode(error, CacheOverloadedError.code);
  }
}

/** The cache was closed; it takes no more work. */
export class CacheClosedError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CACHE_CLOSED';
  readonly code = CacheClosedError.code;

  constructor(readonly namespace: string) {
    super(`The cache "${namespace}" is closed.`, { remedy: 'Stop the intake before the clients are closed.' });
  }

  static is(error: unknown): error is CacheClosedError {
    return SmartPulseError.hasCode(error, CacheClosedError.code);
  }
}

/** No namespace of this name was registered in this app. */
export class UnknownCacheError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CACHE_UNKNOWN';
  readonly code = UnknownCacheError.code;

  constructor(readonly namespace: string) {
    super(`No cache is named "${namespace}" in this app.`, {
      remedy: 'Register it with RedisCacheModule.forFeature([defineCache({ name, … })]).',
    });
  }

  static is(error: unknown): error is UnknownCacheError {
    return SmartPulseError.hasCode(error, UnknownCacheError.code);
  }
}

/** Redis was asked for and its client cannot be loaded. */
export class RedisClientMissingError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_REDIS_CLIENT_MISSING';
  readonly code = RedisClientMissingError.code;

  constructor(cause: unknown) {
    super('The Redis client "ioredis" cannot be loaded.', {
      remedy: 'Install it beside this package, npm install ioredis, or use the url "memory://".',
      cause,
    });
  }

  static is(error: unknown): error is RedisClientMissingError {
    return SmartPulseError.hasCode(error, RedisClientMissingError.code);
  }
}

/** The embedded server is full and its policy is to refuse. */
export class CacheServerFullError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CACHE_SERVER_FULL';
  readonly code = CacheServerFullError.code;

  constructor(readonly bound: 'maxEntries' | 'maxBytes' | 'maxPendingMessages' | 'maxRecords') {
    super(`The embedded cache server reached its ${bound}.`, {
      remedy: "Raise the bound, or let it forget what was not used for longest (whenFull: 'evict').",
    });
  }

  static is(error: unknown): error is CacheServerFullError {
    return SmartPulseError.hasCode(error, CacheServerFullError.code);
  }
}

/** Keys that are to be changed in one step are not in one group, so that a cluster may hold them on different servers. */
export class CrossSlotError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CACHE_CROSS_SLOT';
  readonly code = CrossSlotError.code;

  /** @param namespace of the cache whose keys they are; `undefined`: a transaction's. */
  constructor(
    readonly namespace: string | undefined,
    readonly keys: number,
  ) {
    super(
      namespace === undefined
        ? `A transaction that watches ${keys === 1 ? 'one key' : `${keys} keys`} names keys of several slots of the cluster.`
        : `The ${keys} keys to be set in one step in the cache "${namespace}" are not of one group.`,
      {
        remedy:
          namespace === undefined
            ? 'Give keys that belong together the same part in braces, "{order:7}:lines" and "{order:7}:total": it alone is hashed.'
            : 'Give the namespace groupOf: (key) => group, the same for keys that belong together, or use setMany, which sets each by itself.',
      },
    );
  }

  static is(error: unknown): error is CrossSlotError {
    return SmartPulseError.hasCode(error, CrossSlotError.code);
  }
}

/** The app stops or has stopped: its channel takes no work any more. */
export class CacheChannelClosedError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CACHE_CHANNEL_CLOSED';
  readonly code = CacheChannelClosedError.code;

  constructor() {
    super('The cache channel is closed.', { remedy: 'Publish and subscribe before the app is closed.' });
  }

  static is(error: unknown): error is CacheChannelClosedError {
    return SmartPulseError.hasCode(error, CacheChannelClosedError.code);
  }
}

/** The app stops or has stopped: its transactions take no work any more. */
export class RedisTransactionsClosedError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_REDIS_TRANSACTIONS_CLOSED';
  readonly code = RedisTransactionsClosedError.code;

  constructor() {
    super('The app stops, and its transactions take no work any more.', {
      remedy: 'Run them before the app is closed.',
    });
  }

  static is(error: unknown): error is RedisTransactionsClosedError {
    return SmartPulseError.hasCode(error, RedisTransactionsClosedError.code);
  }
}

/** Watched keys were changed by others in every attempt. Nothing was changed by this one. */
export class RedisTransactionConflictError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_REDIS_TRANSACTION_CONFLICT';
  readonly code = RedisTransactionConflictError.code;

  constructor(readonly attempts: number) {
    super(`Others changed a watched key in each of ${attempts} attempts of a transaction.`, {
      remedy: 'Raise attempts, make the work shorter, or divide what so many write at once over several keys.',
    });
  }

  static is(error: unknown): error is RedisTransactionConflictError {
    return SmartPulseError.hasCode(error, RedisTransactionConflictError.code);
  }
}

/** No connection, or no answer in time. An outage, not a fault of the call. */
export class RedisTransactionUnavailableError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_REDIS_TRANSACTION_UNAVAILABLE';
  readonly code = RedisTransactionUnavailableError.code;
  /** What was queued may have been done: the connection was lost after it had left. `false`: it was not. */
  readonly ambiguous: boolean;

  /** @param phase `connect`, `watch`, `read` or `exec`; the last one alone is ambiguous, when it was sent. */
  constructor(
    readonly phase: 'connect' | 'watch' | 'read' | 'exec',
    cause: unknown,
    { ambiguous }: { readonly ambiguous: boolean },
  ) {
    super(
      `Redis did not answer a transaction at "${phase}"; ${ambiguous ? 'what it queued may have been done or not' : 'nothing was changed'}.`,
      {
        remedy: ambiguous
          ? 'Read the keys to see what became of it before it is run again, or queue a mark of the run, which tells.'
          : 'Look at the server and the network to it; the run may be repeated.',
        cause,
      },
    );
    this.ambiguous = ambiguous;
  }

  static is(error: unknown): error is RedisTransactionUnavailableError {
    return SmartPulseError.hasCode(error, RedisTransactionUnavailableError.code);
  }
}

/** The work of a transaction did not end in time. Nothing was changed; its signal is aborted and its connection dropped. */
export class RedisTransactionTimeoutError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_REDIS_TRANSACTION_TIMEOUT';
  readonly code = RedisTransactionTimeoutError.code;

  constructor(readonly timeoutMs: number) {
    super(`The work of a transaction did not end within ${timeoutMs} ms.`, {
      remedy: 'Wait for nothing but the server in it, or raise transactions.workTimeoutMs.',
    });
  }

  static is(error: unknown): error is RedisTransactionTimeoutError {
    return SmartPulseError.hasCode(error, RedisTransactionTimeoutError.code);
  }
}

/** All connections for transactions are in use, and as many wait as may, or this one has waited for as long as it may. Nothing was done. */
export class RedisTransactionsBusyError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_REDIS_TRANSACTIONS_BUSY';
  readonly code = RedisTransactionsBusyError.code;

  /** @param waitedMs 0: there was no room to wait. */
  constructor(
    readonly maxConnections: number,
    readonly waitedMs: number,
  ) {
    super(
      `All ${maxConnections} connections for transactions are in use, and ${waitedMs === 0 ? 'no more may wait' : `none became free within ${waitedMs} ms`}.`,
      { remedy: 'Slow down, or raise maxConnections, maxWaiting or waitTimeoutMs of the option "transactions".' },
    );
  }

  static is(error: unknown): error is RedisTransactionsBusyError {
    return SmartPulseError.hasCode(error, RedisTransactionsBusyError.code);
  }
}

/** Redis refused a transaction as a whole, because it cannot make sense of a command, or is full. Nothing was changed. */
export class RedisTransactionRefusedError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_REDIS_TRANSACTION_REFUSED';
  readonly code = RedisTransactionRefusedError.code;

  /** @param command the name of the one that was refused; `undefined`: all of them were. */
  constructor(
    readonly command: string | undefined,
    cause: Error,
  ) {
    super(
      `Redis refused ${command === undefined ? 'a transaction' : `the command ${command} of a transaction`}: ${cause.message}`,
      {
        remedy: 'Correct the command; a server that is full or forbids it says so in its message.',
        cause,
      },
    );
  }

  static is(error: unknown): error is RedisTransactionRefusedError {
    return SmartPulseError.hasCode(error, RedisTransactionRefusedError.code);
  }
}

/** A transaction was asked for what it cannot do. */
export class InvalidTransactionError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_REDIS_TRANSACTION_INVALID';
  readonly code = InvalidTransactionError.code;

  constructor(problem: string) {
    super(`The transaction cannot be run: ${problem}.`, {
      remedy: 'Transactions are for data of the app that lies beside its caches, read and queued within the work.',
    });
  }

  static is(error: unknown): error is InvalidTransactionError {
    return SmartPulseError.hasCode(error, InvalidTransactionError.code);
  }
}

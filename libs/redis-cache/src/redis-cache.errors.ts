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

/** Keys that are to be set in one step are not in one group, so that a cluster may hold them on different servers. */
export class CrossSlotError extends SmartPulseError {
  static readonly code = 'SMARTPULSE_CACHE_CROSS_SLOT';
  readonly code = CrossSlotError.code;

  constructor(
    readonly namespace: string,
    readonly keys: number,
  ) {
    super(`The ${keys} keys to be set in one step in the cache "${namespace}" are not of one group.`, {
      remedy:
        'Give the namespace groupOf: (key) => group, the same for keys that belong together, or use setMany, which sets each by itself.',
    });
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

import {
  type CdcRegistry,
  type ChangeSource,
  type ChangeVersion,
  InProcessPollSignal,
  type PollSignal,
  type Stamped,
  StampedReader,
} from '@smartpulse/cdc';
import type { CacheRegistry } from '@smartpulse/redis-cache';
import { ConfigurationError } from '@smartpulse/resilience';
import type { NamedCaches } from '../committed/data-sync.js';

/** What `CdcModule.forRoot` provides. */
export interface DatabaseParts {
  readonly cdc: CdcRegistry;
  readonly source: ChangeSource;
  readonly reader: StampedReader;
  readonly signal: PollSignal;
}

/**
 * The modules that an app may leave out: one that only handles the changes of others follows no table and caches nothing. Whoever needs one that is
 * missing gets an error that says so.
 */
export class OptionalParts {
  readonly #database: DatabaseParts | undefined;
  readonly #caches: CacheRegistry | undefined;

  constructor(database: DatabaseParts | undefined, caches: CacheRegistry | undefined) {
    this.#database = database;
    this.#caches = caches;
  }

  /** @throws ConfigurationError that names `user`, who needs them. */
  database(user: string): DatabaseParts {
    if (this.#database === undefined) {
      throw databaseMissing(user);
    }
    return this.#database;
  }

  /** The app imports RedisCacheModule. */
  get hasCaches(): boolean {
    return this.#caches !== undefined;
  }

  /** @throws ConfigurationError that names `user`, who needs them. */
  caches(user: string): CacheRegistry {
    if (this.#caches === undefined) {
      throw missing(user, 'RedisCacheModule', '{ url, prefix }');
    }
    return this.#caches;
  }

  /** The app's reader, or one whose every call rejects and names `user`. */
  reader(user: string): StampedReader {
    return this.#database?.reader ?? new MissingStampedReader(user);
  }

  /** The app's caches, or none: asking for one throws and names `user`. */
  namedCaches(user: string): NamedCaches {
    return { has: (name) => this.caches(user).has(name), get: (name) => this.caches(user).get(name) };
  }

  /** The app's signal, or one that nobody listens to. */
  signal(): PollSignal {
    return this.#database?.signal ?? new InProcessPollSignal();
  }
}

class MissingStampedReader extends StampedReader {
  override readonly isolation = 'statement';

  constructor(private readonly user: string) {
    super();
  }

  override read<T>(): Promise<Stamped<T>> {
    return Promise.reject(databaseMissing(this.user));
  }

  override current(): Promise<ChangeVersion> {
    return Promise.reject(databaseMissing(this.user));
  }
}

function databaseMissing(user: string): ConfigurationError {
  return missing(user, 'CdcModule', '{ source, checkpoints, leadership, stampedReader }');
}

function missing(user: string, module: string, options: string): ConfigurationError {
  return new ConfigurationError(
    user,
    [{ option: '', problem: `it needs ${module}, which this app does not import` }],
    `Import ${module}.forRoot(${options}) in the root module. Only an app that just handles changes (@OnChange) does without.`,
  );
}

import { Logger } from '@nestjs/common';
import { ConfigurationError } from '@smartpulse/resilience';
import { AutoCache } from '../cache/auto-cache.js';
import { VersionedCache } from '../cache/versioned-cache.js';
import type { VersionedCacheParts } from '../cache/versioned-cache.parts.js';
import { VersionedFieldsCache } from '../fields/versioned-fields-cache.js';
import type { AutoCacheNamespace, CacheNamespace } from '../namespace/define-cache.js';
import type { FieldsNamespace } from '../namespace/define-fields-cache.js';
import { UnknownCacheError } from '../redis-cache.errors.js';
import type { CacheConnection } from './cache.connection.js';
import type { CacheConnections } from './cache.connections.js';

/** Which cache something is told of, as metrics name it: a connection other than the default one is named. */
export interface CacheAttributes {
  readonly namespace: string;
  readonly connection?: string;
}

/** Told what happens in the caches of an app. */
export interface CacheObserver {
  /** How long a loader took, in milliseconds. */
  loaded(cache: CacheAttributes, durationMs: number): void;
  /** How large a payload is that the store took, in bytes. */
  stored(cache: CacheAttributes, bytes: number): void;
  /** How long a message of the backplane of a connection takes to come back, in milliseconds. */
  lagged(connection: CacheConnection, lagMs: number): void;
}

type Parts = Omit<VersionedCacheParts<never>, 'namespace' | 'view'>;

/** A cache whatever it holds, and whoever gives its versions: to look at, not to write to. */
export type ListedCache = VersionedCache<unknown, never>;

interface OpenCache {
  readonly namespace: unknown;
  readonly connection: CacheConnection;
  /** Of hashes: those as wholes. */
  readonly cache: ListedCache;
  readonly fields: VersionedFieldsCache<unknown> | undefined;
  readonly auto?: AutoCache<unknown> | undefined;
}

/** The caches of this app, by name. */
export class CacheRegistry {
  readonly #logger = new Logger(CacheRegistry.name);
  readonly #caches = new Map<string, OpenCache>();
  readonly #observers = new Set<CacheObserver>();
  #connected = false;

  constructor(private readonly connections: CacheConnections) {}

  /** Every namespace listens to the backplane. */
  get connected(): boolean {
    return this.#connected;
  }

  /**
   * The cache of a namespace; made on the first call.
   *
   * @param connection default: the default one. So it is for {@link openAuto} and {@link openFields}.
   * @throws ConfigurationError when another namespace has this name, this one is on another connection, or there is no such connection.
   */
  open<T>(namespace: CacheNamespace<T>, connection?: string): VersionedCache<T> {
    const { cache } = this.#opened(namespace, connection, (parts) => ({
      cache: new VersionedCache<T>({ ...parts, namespace }),
      fields: undefined,
    }));
    return typed<T>(cache);
  }

  /**
   * The cache of a namespace whose versions the store gives; made on the first call.
   *
   * @throws ConfigurationError as {@link open} does.
   */
  openAuto<T>(namespace: AutoCacheNamespace<T>, connection?: string): AutoCache<T> {
    this.#opened(namespace, connection, (parts) => {
      const cache = new VersionedCache<T, 'next'>({ ...parts, namespace });
      return { cache, fields: undefined, auto: new AutoCache(cache) };
    });
    return this.auto<T>(namespace.name);
  }

  /**
   * The cache of a namespace of hashes; made on the first call.
   *
   * @throws ConfigurationError as {@link open} does, and when the connection's own store has no hashes.
   */
  openFields<T>(namespace: FieldsNamespace<T>, connection?: string): VersionedFieldsCache<T> {
    this.#opened(namespace, connection, (parts, { fieldsStore: store }) => {
      if (store === undefined) {
        throw new ConfigurationError(
          'RedisCacheModule.forFeature',
          [{ option: 'namespaces', problem: `"${namespace.name}" has fields, and the app's own store has none` }],
          'Hand RedisCacheModule.forRoot a fieldsStore beside the store.',
        );
      }
      const fields = new VersionedFieldsCache<T>({ ...parts, store, namespace });
      return { cache: fields.whole, fields };
    });
    return this.fields<T>(namespace.name);
  }

  /** @throws {@link UnknownCacheError} also when the store gives its versions: see {@link auto}. */
  get<T = unknown>(name: string): VersionedCache<T> {
    const { cache, auto } = this.#known(name);
    if (auto !== undefined) {
      throw new UnknownCacheError(name);
    }
    return typed<T>(cache);
  }

  /** A cache of hashes. @throws {@link UnknownCacheError} also when it is one of values. */
  fields<T = unknown>(name: string): VersionedFieldsCache<T> {
    const { fields } = this.#known(name);
    if (fields === undefined) {
      throw new UnknownCacheError(name);
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as for values: a name carries no type
    return fields as VersionedFieldsCache<T>;
  }

  /** A cache whose versions the store gives. @throws {@link UnknownCacheError} also when it is another one. */
  auto<T = unknown>(name: string): AutoCache<T> {
    const { auto } = this.#known(name);
    if (auto === undefined) {
      throw new UnknownCacheError(name);
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as for values: a name carries no type
    return auto as AutoCache<T>;
  }

  /** Whether the cache of this name is one of hashes. @throws {@link UnknownCacheError} */
  hasFields(name: string): boolean {
    return this.#known(name).fields !== undefined;
  }

  /** Whether a namespace of this name was registered. */
  has(name: string): boolean {
    return this.#caches.has(name);
  }

  /** Every cache of this app; one of hashes as whole values. @param connection those of this one only. */
  list(connection?: string): readonly ListedCache[] {
    return this.#openOn(connection).map(({ cache }) => cache);
  }

  /** Every cache, with what metrics name it by. */
  attributed(): readonly (readonly [CacheAttributes, ListedCache])[] {
    return this.#openOn().map(({ cache, connection }) => [{ namespace: cache.name, ...connection.attributes }, cache]);
  }

  /** Adds somebody who wants to know what happens; answers how to take it out again. */
  observe(observer: CacheObserver): () => void {
    this.#observers.add(observer);
    const forgetLags = this.connections
      .list()
      .map((connection) => connection.bus.observeLag((lagMs) => observer.lagged(connection, lagMs)));
    return () => {
      this.#observers.delete(observer);
      forgetLags.forEach((forget) => forget());
    };
  }

  /** Subscribes every namespace; resolves when all subscriptions stand. */
  async connect(): Promise<void> {
    this.#connected = true;
    await Promise.all(Array.from(this.#caches.values(), ({ cache, connection }) => cache.connect(connection.bus)));
  }

  /** Closes every cache. */
  async close(): Promise<void> {
    await Promise.all(this.list().map((cache) => cache.close()));
  }

  #openOn(connection?: string): readonly OpenCache[] {
    const all = [...this.#caches.values()];
    return connection === undefined ? all : all.filter((open) => open.connection.name === connection);
  }

  #known(name: string): OpenCache {
    const known = this.#caches.get(name);
    if (known === undefined) {
      throw new UnknownCacheError(name);
    }
    return known;
  }

  #opened<T>(
    namespace: CacheNamespace<T>,
    on: string | undefined,
    make: (parts: Parts, connection: CacheConnection) => Pick<OpenCache, 'cache' | 'fields' | 'auto'>,
  ): OpenCache {
    const { name } = namespace;
    const connection = this.connections.get(on);
    const known = this.#caches.get(name);
    if (known !== undefined) {
      checkSame(name, known, { namespace, connection });
      return known;
    }
    const open: OpenCache = {
      namespace,
      connection,
      ...make({ ...connection.parts(), ...this.#hooksOf(name, connection) }, connection),
    };
    this.#caches.set(name, open);
    if (this.#connected) {
      // A module that was loaded after the start: until the subscription stands, the first level is bypassed.
      void open.cache.connect(connection.bus).catch((error: unknown) => {
        this.#logger.error(`The cache "${name}" has no backplane.`, error instanceof Error ? error.stack : undefined);
      });
    }
    return open;
  }

  #hooksOf(
    namespace: string,
    { attributes }: CacheConnection,
  ): Pick<Parts, 'onLoaded' | 'onStored' | 'onRefreshFailed'> {
    const cache = { namespace, ...attributes };
    return {
      onLoaded: (durationMs) => this.#observers.forEach((observer) => observer.loaded(cache, durationMs)),
      onStored: (bytes) => this.#observers.forEach((observer) => observer.stored(cache, bytes)),
      onRefreshFailed: (error) =>
        this.#logger.debug(
          `A value of the cache "${namespace}" could not be loaded anew before its end (${String(error)}).`,
        ),
    };
  }
}

/** A namespace is one constant, on one connection. */
function checkSame(
  name: string,
  known: Pick<OpenCache, 'namespace' | 'connection'>,
  wanted: Pick<OpenCache, 'namespace' | 'connection'>,
): void {
  if (known.namespace !== wanted.namespace) {
    throw new ConfigurationError(
      'RedisCacheModule.forFeature',
      [{ option: 'namespaces', problem: `two different caches are named "${name}"` }],
      'Declare a cache once with defineCache and import that constant everywhere.',
    );
  }
  if (known.connection !== wanted.connection) {
    const [one, other] = [known.connection.name, wanted.connection.name];
    throw new ConfigurationError(
      'RedisCacheModule.forFeature',
      [{ option: 'connection', problem: `"${name}" is registered on "${one}" and on "${other}"` }],
      'Name the same connection wherever this namespace is registered; a cache by itself on each takes two namespaces.',
    );
  }
}

/** A cache is registered under the name of its namespace, and only there; whoever asks by name vouches for the type. */
function typed<T>(cache: ListedCache): VersionedCache<T> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a name carries no type; this is the one place where it gets one
  return cache as VersionedCache<T>;
}

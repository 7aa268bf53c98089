import type { FactoryProvider, ModuleMetadata } from '@nestjs/common';
import { checkOptions, ConfigurationError, type ConfigurationIssue } from '@smartpulse/resilience';
import { z } from 'zod';
import { FREEZES } from './cache/deep-freeze.js';
import { EmbeddedCacheServer } from './embedded/embedded-cache.server.js';
import { InvalidationBus } from './invalidation/invalidation.bus.js';
import { nameProblemOf } from './namespace/cache-key.js';
import { namesSeveralServers, readRedisUrl, RedisUrlProblem } from './redis/connection/redis-url.js';
import {
  connectionsOf,
  DEFAULT_CONNECTION,
  DEFAULT_PREFIX,
  pathOf,
  problemsOfShared,
} from './registry/connection-options.js';
import { CacheStore } from './store/cache.store.js';
import type { TransactionsOptions } from './transactions/transaction-options.js';
import { FieldsStore } from './store/fields.store.js';

/**
 * A client of the package `ioredis` that the app has, a `Redis` or a `Cluster`: what its `duplicate()` answers is used, and closed, the client itself is left
 * alone. Written as a shape, so that an app without that package compiles.
 */
export interface RedisClientTemplate {
  readonly isCluster: boolean;
  readonly options: object;
  duplicate(...overrides: never[]): unknown;
}

/** A second level and its backplane: the options of each of `connections`, and, at the top, of the default connection. */
export interface CacheConnectionOptions {
  /**
   * Chooses the store; required, unless `client` is given. All but the first need the package `ioredis`, and `rediss` in the place of `redis` is TLS:
   * - `memory://`
   * - `redis://[user:password@]host[:port][/database]`
   * - `redis+sentinel://[user:password@]host[:port][,host…]/masterName[/database][?sentinel_username=…&sentinel_password=…]`: the hosts are those of the
   *   sentinels (26379), the user is that of the servers behind them
   * - `redis+cluster://[user:password@]host[:port][,host…]`: some of the nodes, the others are found
   */
  readonly url?: string | undefined;
  /** In place of `url`: a client that the app has, taken as a template; it is duplicated with our options, never used and never closed. */
  readonly client?: RedisClientTemplate | undefined;
  /** In front of every key and channel: names the owner in a store that others use too. Required outside `memory://`; default `app` there. */
  readonly prefix?: string | undefined;
  /** `memory://` only: the server that several apps of the process share; borrowed, its owner closes it. Default: one of this app's own. */
  readonly server?: EmbeddedCacheServer | undefined;
  /** A store in place of the URL's. */
  readonly store?: CacheStore | undefined;
  /** A store of hashes in place of the URL's, for `defineFieldsCache`; needed beside an own `store` by who uses those. */
  readonly fieldsStore?: FieldsStore | undefined;
  /** A backplane in place of the URL's. */
  readonly bus?: InvalidationBus | undefined;
  /** Redis: how long the first connection may take, milliseconds; the app does not start without one. Default 5,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Redis: how often each replica gives a sign of life on the backplane, milliseconds; after three without one it is distrusted. Default 5,000. */
  readonly heartbeatMs?: number | undefined;
  /** Redis, and no `store` of your own: the bounds of {@link RedisTransactions}. */
  readonly transactions?: TransactionsOptions | undefined;
}

/** The options of `RedisCacheModule.forRoot`: those of the default connection, of the app, and of further connections. */
export interface RedisCacheModuleOptions extends CacheConnectionOptions {
  /**
   * Further connections by name, for `forFeature(namespaces, { connection })` and `@InjectCacheChannel(name)`; `default` is the one that the options at the top describe. Each has its own store,
   * backplane, generation and circuit. Options that are not given have their own defaults, and not those of the default connection, but for `prefix`, which says whose keys these are: it is the app's,
   * where the connection has none. No two connections may have one server and one prefix. Default: none.
   */
  readonly connections?: Readonly<Record<string, CacheConnectionOptions>> | undefined;
  /** This replica in messages, unique among those that share the store. Default: random. */
  readonly nodeId?: string | undefined;
  /**
   * Freeze the values that readers share, so that a mistaken change fails at once. It costs each read of the store. Default `true`, and `false` where `NODE_ENV` is `production` when this
   * package is loaded.
   */
  readonly freeze?: boolean | undefined;
}

/** Options that a factory makes, from providers of other modules if need be. */
export interface RedisCacheModuleAsyncOptions {
  /** Modules whose providers `inject` names. */
  readonly imports?: ModuleMetadata['imports'];
  /** What `useFactory` is called with. */
  readonly inject?: FactoryProvider['inject'];
  /** Makes the options. */
  readonly useFactory: FactoryProvider<RedisCacheModuleOptions>['useFactory'];
}

/** The options of `RedisCacheModule.forFeature`. */
export interface RedisCacheFeatureOptions {
  /** One of {@link RedisCacheModuleOptions.connections}. Default: `default`. */
  readonly connection?: string | undefined;
}

/** The defaults of {@link RedisCacheModuleOptions}; the prefix holds for `memory://` only. */
export const REDIS_CACHE_DEFAULTS = Object.freeze({
  prefix: DEFAULT_PREFIX,
  connectTimeoutMs: 5_000,
  heartbeatMs: 5_000,
  freeze: FREEZES,
} as const);

/** Injection token of the checked {@link RedisCacheModuleOptions}. */
export const REDIS_CACHE_OPTIONS = Symbol('REDIS_CACHE_OPTIONS');

const SCHEMES = 'memory://, redis://, redis+sentinel:// or redis+cluster://, with rediss for TLS';
const SCHEME = /^(?:memory|rediss?(?:\+(?:sentinel|cluster))?):\/\//;

const name = z
  .string('expected text')
  .superRefine((text, context) => {
    const problem = nameProblemOf(text);
    if (problem !== undefined) {
      context.addIssue({ code: 'custom', message: problem });
    }
  })
  .optional();

const milliseconds = (max: number) =>
  z
    .number(`expected milliseconds, 1 to ${max}`)
    .min(1, `expected milliseconds, 1 to ${max}`)
    .max(max, `expected milliseconds, 1 to ${max}`)
    .optional();

const count = (min: number, max: number) =>
  z
    .int(`expected a whole number, ${min} to ${max}`)
    .min(min, `expected a whole number, ${min} to ${max}`)
    .max(max, `expected a whole number, ${min} to ${max}`)
    .optional();

const template = z.custom<RedisClientTemplate>(
  (value) =>
    typeof value === 'object' &&
    value !== null &&
    'isCluster' in value &&
    typeof value.isCluster === 'boolean' &&
    'options' in value &&
    'duplicate' in value &&
    typeof value.duplicate === 'function',
  'expected a Redis or a Cluster of the package ioredis',
);

const connectionSchema = z.strictObject({
  url: z
    .string(`expected a URL that begins with ${SCHEMES}`)
    .superRefine((url, context) => {
      const problem = urlProblemOf(url);
      if (problem !== undefined) {
        context.addIssue({ code: 'custom', message: problem });
      }
    })
    .optional(),
  client: template.optional(),
  prefix: name,
  server: z.instanceof(EmbeddedCacheServer, { error: 'expected an EmbeddedCacheServer' }).optional(),
  store: z.instanceof(CacheStore, { error: 'expected an instance of a class that extends CacheStore' }).optional(),
  fieldsStore: z
    .instanceof(FieldsStore, { error: 'expected an instance of a class that extends FieldsStore' })
    .optional(),
  bus: z
    .instanceof(InvalidationBus, { error: 'expected an instance of a class that extends InvalidationBus' })
    .optional(),
  connectTimeoutMs: milliseconds(60_000),
  heartbeatMs: milliseconds(60_000),
  transactions: z
    .strictObject({
      maxConnections: count(1, 1_000),
      maxWaiting: count(0, 1_000_000),
      waitTimeoutMs: milliseconds(60_000),
      commandTimeoutMs: milliseconds(60_000),
      workTimeoutMs: milliseconds(600_000),
    })
    .optional(),
});

const schema = connectionSchema.extend({
  connections: z.record(z.string(), connectionSchema, 'expected connections by name').optional(),
  nodeId: name,
  freeze: z.boolean('expected true or false').optional(),
});

/**
 * Checks the options of `forRoot`.
 *
 * @throws ConfigurationError that names what is wrong.
 */
export function checkRedisCacheOptions(owner: string, input: unknown): RedisCacheModuleOptions {
  const options = checkOptions(owner, schema, input);
  const issues = problemsOfConnections(options);
  if (issues.length > 0) {
    throw new ConfigurationError(owner, issues);
  }
  return options;
}

function problemsOfConnections(options: RedisCacheModuleOptions): readonly ConfigurationIssue[] {
  const names = Object.keys(options.connections ?? {}).flatMap(problemsOfName);
  if (names.length > 0) {
    return names;
  }
  const connections = connectionsOf(options);
  return [
    ...[...connections].flatMap(([connection, own]) => problemsOf(own, pathOf(connection))),
    ...problemsOfShared(connections),
  ];
}

function problemsOfName(connection: string): readonly ConfigurationIssue[] {
  const problem =
    connection === DEFAULT_CONNECTION
      ? 'stands for the connection that the options at the top describe; take another one'
      : nameProblemOf(connection);
  return problem === undefined ? [] : [{ option: `connections.${connection}`, problem: `this name ${problem}` }];
}

function problemsOf(options: CacheConnectionOptions, path: string): readonly ConfigurationIssue[] {
  if ((options.url === undefined) === (options.client === undefined)) {
    return [
      { option: `${path}url`, problem: `expected either a URL that begins with ${SCHEMES}, or the option "client"` },
    ];
  }
  const transactions = withoutTransactions(options);
  const issues =
    options.transactions === undefined || transactions === undefined
      ? []
      : [{ option: `${path}transactions`, problem: transactions }];
  if (options.url?.startsWith('memory:') === true) {
    return issues;
  }
  return [
    ...issues,
    ...(options.server === undefined
      ? []
      : [{ option: `${path}server`, problem: 'an embedded server needs the url "memory://"' }]),
    ...(options.prefix === undefined
      ? [
          {
            option: `${path}prefix`,
            problem: 'missing; outside memory:// it says whose keys these are in a store that others use too',
          },
        ]
      : []),
  ];
}
/** Why a connection has no transactions; `undefined`: it has. */
export function withoutTransactions({ url, store }: CacheConnectionOptions): string | undefined {
  if (store !== undefined) {
    return 'transactions need the Redis of the URL, and the option "store" is in its place';
  }
  return url?.startsWith('memory:') === true ? 'transactions need a Redis, and the url is "memory://"' : undefined;
}

/** A problem never shows the URL: there may be a password in it. */
function urlProblemOf(url: string): string | undefined {
  if (!SCHEME.test(url)) {
    return `expected a URL that begins with ${SCHEMES}`;
  }
  if (namesSeveralServers(url)) {
    const read = readRedisUrl(url);
    return read instanceof RedisUrlProblem ? read.text : undefined;
  }
  return url.startsWith('memory:') || URL.canParse(url)
    ? undefined
    : 'expected redis://[user:password@]host[:port][/database]';
}

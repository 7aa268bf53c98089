import type { FactoryProvider, ModuleMetadata } from '@nestjs/common';
import { checkOptions, ConfigurationError } from '@smartpulse/resilience';
import { z } from 'zod';
import { EmbeddedCacheServer } from './embedded/embedded-cache.server.js';
import { InvalidationBus } from './invalidation/invalidation.bus.js';
import { nameProblemOf } from './namespace/cache-key.js';
import { CacheTransportNotBuiltInError } from './redis-cache.errors.js';
import { CacheStore } from './store/cache.store.js';

/** The options of `RedisCacheModule.forRoot`. */
export interface RedisCacheModuleOptions {
  /**
   * Chooses the store: `memory://`, or `redis://[user:password@]host[:port][/database]`, `rediss://…` with TLS; these need the package `ioredis`.
   * `redis+sentinel://` and `redis+cluster://` are recognised and not built in yet.
   */
  readonly url: string;
  /** In front of every key and channel: names the owner in a store that others use too. Required outside `memory://`; default `app` there. */
  readonly prefix?: string | undefined;
  /** `memory://` only: the server that several apps of the process share; borrowed, its owner closes it. Default: one of this app's own. */
  readonly server?: EmbeddedCacheServer | undefined;
  /** A store in place of the URL's. */
  readonly store?: CacheStore | undefined;
  /** A backplane in place of the URL's. */
  readonly bus?: InvalidationBus | undefined;
  /** This replica in messages, unique among those that share the store. Default: random. */
  readonly nodeId?: string | undefined;
  /** `redis://`, `rediss://`: how long the first connection may take, milliseconds; the app does not start without one. Default 5,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** `redis://`, `rediss://`: how often each replica gives a sign of life on the backplane, milliseconds; after three without one it is distrusted. Default 5,000. */
  readonly heartbeatMs?: number | undefined;
  /** Freeze the values that readers share, so that a mistaken change fails at once. Costs time for large values: pass `false` in production. Default `true`. */
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

/** The defaults of {@link RedisCacheModuleOptions}; the prefix holds for `memory://` only. */
export const REDIS_CACHE_DEFAULTS = Object.freeze({
  prefix: 'app',
  connectTimeoutMs: 5_000,
  heartbeatMs: 5_000,
  freeze: true,
} as const);

/** Injection token of the checked {@link RedisCacheModuleOptions}. */
export const REDIS_CACHE_OPTIONS = Symbol('REDIS_CACHE_OPTIONS');

/** Those that an adapter is built in for. */
const BUILT_IN: ReadonlySet<string> = new Set(['redis:', 'rediss:']);
const REDIS_SCHEMES: ReadonlySet<string> = new Set([...BUILT_IN, 'redis+sentinel:', 'redis+cluster:']);
const SCHEMES = 'memory://, redis://, rediss://, redis+sentinel:// or redis+cluster://';

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

const schema = z.strictObject({
  url: z
    .string(`expected a URL that begins with ${SCHEMES}`)
    .refine((url) => schemeOf(url) !== undefined, `expected a URL that begins with ${SCHEMES}`),
  prefix: name,
  server: z.instanceof(EmbeddedCacheServer, { error: 'expected an EmbeddedCacheServer' }).optional(),
  store: z.instanceof(CacheStore, { error: 'expected an instance of a class that extends CacheStore' }).optional(),
  bus: z
    .instanceof(InvalidationBus, { error: 'expected an instance of a class that extends InvalidationBus' })
    .optional(),
  nodeId: name,
  connectTimeoutMs: milliseconds(60_000),
  heartbeatMs: milliseconds(60_000),
  freeze: z.boolean('expected true or false').optional(),
});

/**
 * Checks the options of `forRoot`.
 *
 * @throws ConfigurationError that names what is wrong; {@link CacheTransportNotBuiltInError} for a URL of Sentinel or Cluster.
 */
export function checkRedisCacheOptions(owner: string, input: unknown): RedisCacheModuleOptions {
  const options = checkOptions(owner, schema, input);
  const scheme = schemeOf(options.url) ?? '';
  if (scheme === 'memory:') {
    return options;
  }
  if (options.server !== undefined) {
    throw new ConfigurationError(owner, [
      { option: 'server', problem: 'an embedded server needs the url "memory://"' },
    ]);
  }
  if (options.prefix === undefined) {
    throw new ConfigurationError(owner, [
      {
        option: 'prefix',
        problem: 'missing; outside memory:// it says whose keys these are in a store that others use too',
      },
    ]);
  }
  if (!BUILT_IN.has(scheme) && (options.store === undefined || options.bus === undefined)) {
    throw new CacheTransportNotBuiltInError(`${scheme}//`);
  }
  return options;
}

function schemeOf(url: string): string | undefined {
  const scheme = /^([a-z+]+:)\/\//.exec(url)?.[1];
  return scheme === 'memory:' || (scheme !== undefined && REDIS_SCHEMES.has(scheme)) ? scheme : undefined;
}

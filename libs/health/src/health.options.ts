import type { FactoryProvider, ModuleMetadata } from '@nestjs/common';
import { z } from 'zod';

/** What is known of who asks; requests of Express and of Fastify fit. */
export interface HealthRequest {
  /** Header names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly socket?: { readonly remoteAddress?: string | undefined } | undefined;
}

/** Who sees more than the status: everybody, nobody, those who ask on loopback without a proxy, or those the function lets. */
export type HealthDetails = 'always' | 'never' | 'loopback' | ((request: HealthRequest) => boolean);

/** The options of {@link HealthModule}. */
export interface HealthModuleOptions {
  /** Who sees names, states and details of the probes on `/health`. Default `loopback`; everybody else sees the status alone. */
  readonly details?: HealthDetails | undefined;
  /** How often all probes are asked, in milliseconds. Default 5,000. */
  readonly intervalMs?: number | undefined;
  /** Share of the interval by which chance moves each round, so that replicas do not ask together. Default 0.1. */
  readonly jitter?: number | undefined;
  /** What one probe may take, in milliseconds; later it counts as bad. Default 800, below the 1 s of a kubelet. */
  readonly timeoutMs?: number | undefined;
  /** Bad answers in a row that make a probe `down`; the first of them makes it `degraded`. Default 2. */
  readonly badToDown?: number | undefined;
  /** An answer older than so many intervals is not believed: the probe is `degraded` as unknown. Default 3. */
  readonly staleAfterIntervals?: number | undefined;
}

/** {@link HealthModuleOptions} with every value filled in. */
export type ResolvedHealthOptions = {
  readonly [K in keyof HealthModuleOptions]-?: Exclude<HealthModuleOptions[K], undefined>;
};

/** Options that a factory makes, from providers of other modules if need be. */
export interface HealthModuleAsyncOptions {
  /** Modules whose providers `inject` names. */
  readonly imports?: ModuleMetadata['imports'];
  /** What `useFactory` is called with. */
  readonly inject?: FactoryProvider['inject'];
  /** Makes the options. */
  readonly useFactory: FactoryProvider<HealthModuleOptions>['useFactory'];
}

/** The defaults of {@link HealthModuleOptions}. */
export const HEALTH_DEFAULTS: ResolvedHealthOptions = Object.freeze({
  details: 'loopback',
  intervalMs: 5_000,
  jitter: 0.1,
  timeoutMs: 800,
  badToDown: 2,
  staleAfterIntervals: 3,
});

/** Injection token of the {@link ResolvedHealthOptions}. */
export const HEALTH_OPTIONS = Symbol('HEALTH_OPTIONS');

const number = (what: string, from: number, to: number) => {
  const error = `expected ${what} from ${from} to ${to}`;
  return z.number({ error }).min(from, { error }).max(to, { error });
};
const whole = (from: number, to: number) => {
  const error = `expected a whole number from ${from} to ${to}`;
  return z.int({ error }).min(from, { error }).max(to, { error });
};

/** Checks {@link HealthModuleOptions}. */
export const healthOptionsSchema = z.strictObject({
  details: z
    .union(
      [
        z.enum(['always', 'never', 'loopback']),
        z.custom<(request: HealthRequest) => boolean>((value) => typeof value === 'function'),
      ],
      { error: "expected 'always', 'never', 'loopback' or a function (request) => boolean" },
    )
    .optional(),
  intervalMs: number('a number of milliseconds', 100, 3_600_000).optional(),
  jitter: number('a share', 0, 0.5).optional(),
  timeoutMs: number('a number of milliseconds', 1, 60_000).optional(),
  badToDown: whole(1, 100).optional(),
  staleAfterIntervals: number('a number of intervals', 1, 1_000).optional(),
});

/** Fills the defaults in. */
export function resolveHealthOptions(options: HealthModuleOptions): ResolvedHealthOptions {
  return {
    details: options.details ?? HEALTH_DEFAULTS.details,
    intervalMs: options.intervalMs ?? HEALTH_DEFAULTS.intervalMs,
    jitter: options.jitter ?? HEALTH_DEFAULTS.jitter,
    timeoutMs: options.timeoutMs ?? HEALTH_DEFAULTS.timeoutMs,
    badToDown: options.badToDown ?? HEALTH_DEFAULTS.badToDown,
    staleAfterIntervals: options.staleAfterIntervals ?? HEALTH_DEFAULTS.staleAfterIntervals,
  };
}

import { z } from 'zod';
import { BACKOFF_DEFAULTS, type BackoffOptions } from '../retry/backoff.js';

/** A token bucket that keeps retries a small share of the calls, shared by all calls of the policy. */
export interface RetryBudgetOptions {
  /** Tokens that every call adds; 0.1 allows one retry for ten calls. Default 0.1. */
  readonly tokensPerCall?: number | undefined;
  /** Tokens added per second, so that rare calls may retry. Default 1. */
  readonly tokensPerSecond?: number | undefined;
  /** The most that is saved up; it is full at the start. Default 100. */
  readonly maxTokens?: number | undefined;
}

/** When and how often a failed run is repeated. */
export interface RetryOptions extends Partial<BackoffOptions> {
  /** Repetitions after the first run. Default 5. */
  readonly maxRetries?: number | undefined;
  /** Whether an error is worth another run. Programming errors, refusals and aborts never are. Default: every other error. */
  readonly retryIf?: ((error: unknown) => boolean) | undefined;
  /** What the other side asked to wait, in milliseconds; wins over the backoff. Default: none. */
  readonly retryAfterMs?: ((error: unknown) => number | undefined) | undefined;
  /** `false`: no budget. Default: 0.1 tokens a call, 1 a second, at most 100. */
  readonly budget?: RetryBudgetOptions | false | undefined;
}

/**
 * What opens the circuit. `consecutive`: so many failures in a row. `count`: a share (0 to 1) of the last `size` calls.
 */
export type BreakerStrategy =
  | { readonly kind: 'consecutive'; readonly failures: number }
  | {
      readonly kind: 'count';
      readonly size: number;
      readonly threshold: number;
      readonly minimumCalls?: number | undefined;
    };

/** When the circuit opens and how it closes again. */
export interface BreakerOptions {
  /** Default: 5 failures in a row. */
  readonly strategy?: BreakerStrategy | undefined;
  /** How long it stays open, in milliseconds. Default 60,000. */
  readonly openMs?: number | undefined;
  /** What `openMs` is multiplied by after every failed recovery; 1 keeps it. Default 1.5. */
  readonly openMultiplier?: number | undefined;
  /** It never stays open longer, in milliseconds. Default 300,000. */
  readonly maxOpenMs?: number | undefined;
  /** Share of the open time by which chance moves it up or down, so that replicas do not probe together. Default 0.1. */
  readonly openJitter?: number | undefined;
  /** Good probes in a row that close a half-open circuit; as many may run at once. Default 2. */
  readonly successesToClose?: number | undefined;
  /** A half-open circuit without a verdict opens again after so many milliseconds. Default 30,000. */
  readonly halfOpenMaxWaitMs?: number | undefined;
  /**
   * Whose failure counts. `call`: one vote a call, its first failed run; `attempt`: every run. With `attempt` the strategy must bear more
   * failures than one call can make. Default `call`.
   */
  readonly voteOn?: 'call' | 'attempt' | undefined;
  /** Whether an error says that the other side is ill. Programming errors and aborts never do. Default: every other error. */
  readonly failureIf?: ((error: unknown) => boolean) | undefined;
}

/** How many runs go side by side. */
export interface BulkheadOptions {
  /** Calls that run at once. */
  readonly limit: number;
  /** Calls that may wait for a place, first come first served. Default 0. */
  readonly queueLimit?: number | undefined;
}

/** The presets: figures for connecting to each kind of system. */
export type PolicyPresetName = 'pulsar' | 'redis' | 'sqlServer';

/** A policy. What is left out has its default; `false` switches a part off. */
export interface PolicyOptions {
  /** Starts from these figures instead of the general defaults; the other options are laid over them. */
  readonly preset?: PolicyPresetName | undefined;
  /** What the whole call may take, waits included, in milliseconds. Default: no limit. */
  readonly totalTimeoutMs?: number | undefined;
  /** What one run may take, in milliseconds. Default: no limit. */
  readonly attemptTimeoutMs?: number | undefined;
  /** Default: on, see {@link RetryOptions}. Switch it off for work that must not run twice. */
  readonly retry?: RetryOptions | false | undefined;
  /** Default: on, see {@link BreakerOptions}. */
  readonly breaker?: BreakerOptions | false | undefined;
  /** Default: off. */
  readonly bulkhead?: BulkheadOptions | false | undefined;
}

/** The general defaults of {@link RetryOptions}. */
export const RETRY_DEFAULTS: Readonly<BackoffOptions & { maxRetries: number }> = Object.freeze({
  ...BACKOFF_DEFAULTS,
  maxRetries: 5,
});

/** The defaults of {@link RetryBudgetOptions}. */
export const RETRY_BUDGET_DEFAULTS: Readonly<Record<keyof RetryBudgetOptions, number>> = Object.freeze({
  tokensPerCall: 0.1,
  tokensPerSecond: 1,
  maxTokens: 100,
});

/** The defaults of {@link BreakerOptions}. */
export const BREAKER_DEFAULTS = Object.freeze({
  strategy: Object.freeze({ kind: 'consecutive', failures: 5 } as const),
  openMs: 60_000,
  openMultiplier: 1.5,
  maxOpenMs: 300_000,
  openJitter: 0.1,
  successesToClose: 2,
  halfOpenMaxWaitMs: 30_000,
  voteOn: 'call' as const,
});

/**
 * Figures for connecting. Only one layer retries: give the client underneath its own retries *or* the policy, never both.
 * `pulsar`: 10 s a run. `redis`: 5 s a run, 3 retries. `sqlServer`: 15 s a run.
 */
export const POLICY_PRESETS: Readonly<Record<PolicyPresetName, PolicyOptions>> = Object.freeze({
  pulsar: Object.freeze({ attemptTimeoutMs: 10_000 }),
  redis: Object.freeze({ attemptTimeoutMs: 5_000, retry: Object.freeze({ maxRetries: 3 }) }),
  sqlServer: Object.freeze({ attemptTimeoutMs: 15_000 }),
});

const DAY_MS = 86_400_000;
const durationMs = z
  .number({ error: 'expected a number of milliseconds from 1 to 86,400,000' })
  .min(1, { error: 'expected at least 1 millisecond' })
  .max(DAY_MS, { error: 'expected at most 86,400,000 milliseconds (24 h)' });
const whole = (from: number, to: number) => {
  const error = `expected a whole number from ${from} to ${to}`;
  return z.int({ error }).min(from, { error }).max(to, { error });
};
const share = (from: number, to: number) => {
  const error = `expected a number from ${from} to ${to}`;
  return z.number({ error }).min(from, { error }).max(to, { error });
};
const SHARE_ERROR = 'expected a share above 0 and below 1';
const predicate = z.custom<(error: unknown) => boolean>((value) => typeof value === 'function', {
  error: 'expected a function (error) => boolean',
});

const retrySchema = z.strictObject({
  maxRetries: whole(0, 100).optional(),
  initialMs: durationMs.optional(),
  multiplier: share(1, 10).optional(),
  maxMs: durationMs.optional(),
  jitter: z.enum(['none', 'equal', 'full']).optional(),
  retryIf: predicate.optional(),
  retryAfterMs: z
    .custom<(error: unknown) => number | undefined>((value) => typeof value === 'function', {
      error: 'expected a function (error) => milliseconds or undefined',
    })
    .optional(),
  budget: z
    .union([
      z.literal(false),
      z.strictObject({
        tokensPerCall: share(0, 10).optional(),
        tokensPerSecond: share(0, 10_000).optional(),
        maxTokens: share(1, 1_000_000).optional(),
      }),
    ])
    .optional(),
});

const breakerSchema = z.strictObject({
  strategy: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('consecutive'), failures: whole(1, 10_000) }),
      z.strictObject({
        kind: z.literal('count'),
        size: whole(1, 10_000),
        threshold: z.number({ error: SHARE_ERROR }).gt(0, { error: SHARE_ERROR }).lt(1, { error: SHARE_ERROR }),
        minimumCalls: whole(1, 10_000).optional(),
      }),
    ])
    .refine((one) => one.kind === 'consecutive' || (one.minimumCalls ?? 1) <= one.size, {
      path: ['minimumCalls'],
      error: 'expected at most `size`',
    })
    .optional(),
  openMs: durationMs.optional(),
  openMultiplier: share(1, 10).optional(),
  maxOpenMs: durationMs.optional(),
  openJitter: share(0, 0.5).optional(),
  successesToClose: whole(1, 1_000).optional(),
  halfOpenMaxWaitMs: durationMs.optional(),
  voteOn: z.enum(['call', 'attempt']).optional(),
  failureIf: predicate.optional(),
});

/** Checks a {@link PolicyOptions}. */
export const policyOptionsSchema = z.strictObject({
  preset: z.enum(['pulsar', 'redis', 'sqlServer']).optional(),
  totalTimeoutMs: durationMs.optional(),
  attemptTimeoutMs: durationMs.optional(),
  retry: z.union([z.literal(false), retrySchema]).optional(),
  breaker: z.union([z.literal(false), breakerSchema]).optional(),
  bulkhead: z
    .union([z.literal(false), z.strictObject({ limit: whole(1, 100_000), queueLimit: whole(0, 1_000_000).optional() })])
    .optional(),
});

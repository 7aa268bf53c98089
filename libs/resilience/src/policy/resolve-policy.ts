import { ConfigurationError } from '../resilience.errors.js';
import {
  BREAKER_DEFAULTS,
  type BreakerOptions,
  type BulkheadOptions,
  POLICY_PRESETS,
  type PolicyOptions,
  RETRY_BUDGET_DEFAULTS,
  RETRY_DEFAULTS,
  type RetryBudgetOptions,
  type RetryOptions,
} from './policy.options.js';

type Filled<T, TOptional extends keyof T = never> = {
  readonly [K in Exclude<keyof T, TOptional>]-?: Exclude<T[K], undefined>;
} & { readonly [K in TOptional]: T[K] | undefined };

export type ResolvedBudget = Filled<RetryBudgetOptions>;
export type ResolvedRetry = Omit<Filled<RetryOptions, 'retryIf' | 'retryAfterMs'>, 'budget'> & {
  readonly budget: ResolvedBudget | undefined;
};
export type ResolvedBreaker = Filled<BreakerOptions, 'failureIf'>;
export type ResolvedBulkhead = Filled<BulkheadOptions>;

/** {@link PolicyOptions} with preset and defaults filled in; a part that is off is `undefined`. */
export interface ResolvedPolicy {
  readonly totalTimeoutMs: number | undefined;
  readonly attemptTimeoutMs: number | undefined;
  readonly retry: ResolvedRetry | undefined;
  readonly breaker: ResolvedBreaker | undefined;
  readonly bulkhead: ResolvedBulkhead | undefined;
}

/** Lays options over preset over defaults, and refuses what does not go together. */
export function resolvePolicyOptions(owner: string, options: PolicyOptions): ResolvedPolicy {
  const preset = options.preset === undefined ? {} : POLICY_PRESETS[options.preset];
  const retry = part<RetryOptions>(options.retry, preset.retry, {});
  const breaker = part<BreakerOptions>(options.breaker, preset.breaker, {});
  const bulkhead = options.bulkhead ?? preset.bulkhead ?? false;
  const resolved: ResolvedPolicy = {
    totalTimeoutMs: options.totalTimeoutMs ?? preset.totalTimeoutMs,
    attemptTimeoutMs: options.attemptTimeoutMs ?? preset.attemptTimeoutMs,
    retry: retry && resolveRetry(retry),
    breaker: breaker && resolveBreaker(breaker),
    bulkhead: bulkhead === false ? undefined : { limit: bulkhead.limit, queueLimit: bulkhead.queueLimit ?? 0 },
  };
  refuseClash(owner, resolved);
  return resolved;
}

function part<T extends object>(own: T | false | undefined, preset: T | false | undefined, empty: T): T | undefined {
  if (own === false || (own === undefined && preset === false)) {
    return undefined;
  }
  return overlay(preset === false || preset === undefined ? empty : preset, own);
}

function resolveRetry(retry: RetryOptions): ResolvedRetry {
  const { budget, retryIf, retryAfterMs, ...figures } = retry;
  return {
    ...overlay<typeof RETRY_DEFAULTS>(RETRY_DEFAULTS, figures),
    retryIf,
    retryAfterMs,
    budget: budget === false ? undefined : overlay<ResolvedBudget>(RETRY_BUDGET_DEFAULTS, budget),
  };
}

function resolveBreaker(breaker: BreakerOptions): ResolvedBreaker {
  const { failureIf, ...figures } = breaker;
  return { ...overlay<Omit<ResolvedBreaker, 'failureIf'>>(BREAKER_DEFAULTS, figures), failureIf };
}

/** `over` without its undefined values, laid over `base`: an option given as `undefined` is an option left out. */
function overlay<T extends object>(base: T, over: { readonly [K in keyof T]?: T[K] | undefined } | undefined): T {
  const given = Object.entries(over ?? {}).filter(([, value]) => value !== undefined);
  return { ...base, ...Object.fromEntries(given) };
}

/** Every run of one call votes: then one failing call must not be able to open the circuit for everyone. */
function refuseClash(owner: string, { retry, breaker }: ResolvedPolicy): void {
  if (breaker?.voteOn !== 'attempt' || retry === undefined) {
    return;
  }
  const runs = retry.maxRetries + 1;
  const { strategy } = breaker;
  const bears = strategy.kind === 'consecutive' ? strategy.failures : (strategy.minimumCalls ?? strategy.size);
  if (bears <= runs) {
    throw new ConfigurationError(
      owner,
      [
        {
          option: 'breaker.voteOn',
          problem: `with "attempt" one failing call makes ${runs} failures (${retry.maxRetries} retries and the first run), and the breaker opens at ${bears}`,
        },
      ],
      `Use voteOn: 'call', fewer retries, or a strategy that bears more than ${runs} failures.`,
    );
  }
}

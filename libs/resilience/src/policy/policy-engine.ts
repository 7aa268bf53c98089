import { CircuitState, ConsecutiveBreaker, CountBreaker, type IBreaker } from 'cockatiel';
import type { BreakerStrategy } from './policy.options.js';

/** Counts results of a closed circuit. */
export interface FailureStrategy {
  succeeded(): void;
  /** Answers whether the circuit is to open. */
  failed(): boolean;
}

/**
 * The strategy of that kind, fresh. This file is the only one that imports cockatiel: its strategies are used as they are, its state
 * holder, sleep, time-outs and bulkhead are not (`policy-engine.spec.ts` pins why). Its time-window strategy reads the machine's clock and
 * is therefore not offered.
 */
export function createStrategy(strategy: BreakerStrategy): FailureStrategy {
  const breaker = createBreaker(strategy);
  return {
    succeeded: () => breaker.success(CircuitState.Closed),
    failed: () => breaker.failure(CircuitState.Closed),
  };
}

function createBreaker(strategy: BreakerStrategy): IBreaker {
  if (strategy.kind === 'consecutive') {
    return new ConsecutiveBreaker(strategy.failures);
  }
  const { size, threshold, minimumCalls = size } = strategy;
  return new CountBreaker({ size, threshold, minimumNumberOfCalls: minimumCalls });
}

import {
  BrokenCircuitError,
  BulkheadRejectedError,
  CircuitState,
  ConsecutiveBreaker,
  ExponentialBackoff,
  bulkhead,
  circuitBreaker,
  ConstantBackoff,
  handleAll,
  noJitterGenerator,
  retry,
  timeout,
  TimeoutStrategy,
  wrap,
} from 'cockatiel';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createStrategy } from './policy-engine.js';

describe('createStrategy', () => {
  it('opens at the given number of failures in a row', () => {
    const strategy = createStrategy({ kind: 'consecutive', failures: 2 });
    expect([strategy.failed(), strategy.failed()]).toEqual([false, true]);
  });

  it('does not judge by share before the window has its minimum of calls', () => {
    const strategy = createStrategy({ kind: 'count', size: 10, threshold: 0.2, minimumCalls: 3 });
    expect([strategy.failed(), strategy.failed(), strategy.failed()]).toEqual([false, false, true]);
  });
});

// Why its state holder, retry, time-out and bulkhead are not used. A test that turns red after an upgrade says which own part may go.
describe('cockatiel 4.0.0', () => {
  const boom = (): Promise<never> => Promise.reject(new Error('boom'));
  const breaker = () =>
    circuitBreaker(handleAll, {
      breaker: new ConsecutiveBreaker(5),
      halfOpenAfter: 60_000,
      halfOpenSampling: { calls: 2, threshold: 0 },
    });
  const opened = async () => {
    const policy = breaker();
    for (let call = 0; call < 5; call++) {
      await policy.execute(boom).catch(() => undefined);
    }
    return policy;
  };

  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('opens after 5 failures and closes after 2 successes', async () => {
    const policy = await opened();
    expect(policy.state).toBe(CircuitState.Open);
    vi.advanceTimersByTime(60_000);
    await policy.execute(() => 1);
    expect(policy.state).toBe(CircuitState.HalfOpen);
    await policy.execute(() => 1);
    expect(policy.state).toBe(CircuitState.Closed);
  });

  it('lets a late failure from before the break open a half-open circuit again', async () => {
    const policy = breaker();
    let failLate: (error: Error) => void = () => {};
    const late = policy.execute(() => new Promise((_resolve, reject) => (failLate = reject)));
    for (let call = 0; call < 5; call++) {
      await policy.execute(boom).catch(() => undefined);
    }
    vi.advanceTimersByTime(60_000);
    await policy.execute(() => 1);

    failLate(new Error('late'));
    await expect(late).rejects.toThrow('late');

    expect(policy.state).toBe(CircuitState.Open);
  });

  it('keeps a caller waiting behind hung probes although it has aborted', async () => {
    const policy = await opened();
    vi.advanceTimersByTime(60_000);
    void policy.execute(() => new Promise(() => {}));
    void policy.execute(() => new Promise(() => {}));
    const abort = new AbortController();
    let settled = false;
    void policy.execute(() => 1, abort.signal).finally(() => (settled = true));
    abort.abort();
    await vi.advanceTimersByTimeAsync(300);

    expect(settled).toBe(false);
    expect(policy.state).toBe(CircuitState.HalfOpen);
  });

  it('does not cut a backoff when the caller aborts, and runs the work once more', async () => {
    const policy = retry(handleAll, { maxAttempts: 5, backoff: new ConstantBackoff(300) });
    const abort = new AbortController();
    let runs = 0;
    let settled = false;
    const call = policy.execute(() => {
      runs += 1;
      return boom();
    }, abort.signal);
    call.catch(() => (settled = true));
    await vi.advanceTimersByTimeAsync(10);
    abort.abort();
    await vi.advanceTimersByTimeAsync(289);
    expect([runs, settled]).toEqual([1, false]);

    await vi.advanceTimersByTimeAsync(1);
    expect([runs, settled]).toEqual([2, true]);
  });

  it('rejects a caller that it had queued when newcomers arrive between release and dequeue', async () => {
    const policy = bulkhead(1, 1);
    let finish: () => void = () => {};
    const newcomers: Promise<unknown>[] = [];
    const first = policy.execute(() => new Promise<void>((resolve) => (finish = resolve)));
    const queued = policy.execute(() => 'queued').catch((error: unknown) => error);
    finish();
    for (let turn = 0; turn < 12; turn++) {
      // In one of these turns the first has released and the queued one has not begun.
      await Promise.resolve();
      for (let newcomer = 0; newcomer < 2; newcomer++) {
        newcomers.push(policy.execute(() => new Promise(() => {})).catch((error: unknown) => error));
      }
    }
    await first;

    expect(await queued).toBeInstanceOf(BulkheadRejectedError);
  });

  it("reports the caller's abort as a time-out", async () => {
    const abort = new AbortController();
    const call = timeout(5_000, TimeoutStrategy.Aggressive).execute(() => new Promise(() => {}), abort.signal);
    abort.abort();

    await expect(call).rejects.toThrow(/timed out after 5000ms/);
  });

  it('opens the circuit for everyone by one call with 5 retries, and hides its error', async () => {
    const circuit = breaker();
    const policy = wrap(retry(handleAll, { maxAttempts: 5, backoff: new ConstantBackoff(1) }), circuit);
    const call = policy.execute(boom).catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(100);

    expect(await call).toBeInstanceOf(BrokenCircuitError);
    expect(circuit.state).toBe(CircuitState.Open);
  });

  it('ignores the exponent of a backoff without jitter', () => {
    const delays: number[] = [];
    let step = new ExponentialBackoff({ initialDelay: 100, exponent: 3, generator: noJitterGenerator }).next();
    for (let attempt = 0; attempt < 3; attempt++) {
      delays.push(step.duration);
      step = step.next(undefined);
    }
    expect(delays).toEqual([100, 200, 400]);
  });
});

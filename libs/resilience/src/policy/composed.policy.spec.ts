import { getEventListeners } from 'node:events';
import { beforeEach, describe, expect, it } from 'vitest';
import { BulkheadFullError, CircuitOpenError, PolicyTimeoutError } from '../resilience.errors.js';
import { SeededRandom } from '../random/seeded.random.js';
import { VirtualClock } from '../testing/virtual.clock.js';
import { attemptsOf } from './attempts.js';
import type { AttemptContext, Policy } from './policy.js';
import type { PolicyOptions } from './policy.options.js';
import { ResilienceRegistry } from './policy.registry.js';

let clock: VirtualClock;
let registry: ResilienceRegistry;

beforeEach(() => {
  clock = new VirtualClock();
  registry = new ResilienceRegistry(clock, new SeededRandom());
});

const create = (options: PolicyOptions): Policy => registry.create('stock', options);
const exact = { initialMs: 100, jitter: 'none' } as const;
const boom = (): Promise<never> => Promise.reject(new Error('boom'));
const never = (): Promise<never> => new Promise(() => {});
/** The outcome of a call, read without waiting for it. */
function watch<T>(call: Promise<T>): { value?: T; error?: unknown; done: boolean } {
  const seen: { value?: T; error?: unknown; done: boolean } = { done: false };
  call.then(
    (value) => Object.assign(seen, { value, done: true }),
    (error: unknown) => Object.assign(seen, { error, done: true }),
  );
  return seen;
}

describe('retry', () => {
  it('runs again after 100, 200, 400, 800 and 1,600 ms and then throws the last error with the number of attempts', async () => {
    const policy = create({ retry: exact, breaker: false });
    const startedMs: number[] = [];
    const seen = watch(
      policy.execute(({ attempt }) => {
        startedMs.push(clock.monotonic());
        return Promise.reject(new Error(`boom ${attempt}`));
      }),
    );
    await clock.advance(10_000);

    expect(startedMs).toEqual([0, 100, 300, 700, 1_500, 3_100]);
    expect(seen.error).toMatchObject({ message: 'boom 6' });
    expect(attemptsOf(seen.error)).toBe(6);
    expect(policy.snapshot()).toMatchObject({ calls: 1, failed: 1, retries: 5 });
    expect(clock.pendingTimers).toBe(0);
  });

  it('answers the value of the run that succeeds', async () => {
    const policy = create({ retry: exact });
    const seen = watch(policy.execute(({ attempt }) => (attempt < 3 ? boom() : 'done')));
    await clock.advance(300);

    expect(seen).toEqual({ done: true, value: 'done' });
    expect(policy.snapshot()).toMatchObject({ succeeded: 1, retries: 2 });
  });

  it('ends a wait at once when the caller aborts, and the work does not run again', async () => {
    const policy = create({ retry: exact });
    const abort = new AbortController();
    let runs = 0;
    const seen = watch(policy.execute(() => (runs++, boom()), { signal: abort.signal }));
    await clock.advance(10);
    const reason = new Error('enough');
    abort.abort(reason);
    await clock.settle();

    expect(seen.error).toBe(reason);
    expect(clock.pendingTimers).toBe(0);
    await clock.advance(10_000);
    expect(runs).toBe(1);
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
    expect(policy.snapshot()).toMatchObject({ cancelled: 1, failed: 0, timedOut: 0 });
  });

  it('does not run at all when the caller has aborted before', async () => {
    let runs = 0;
    const call = create({}).execute(() => void runs++, { signal: AbortSignal.abort(new Error('enough')) });

    await expect(call).rejects.toThrow('enough');
    expect(runs).toBe(0);
  });

  it.each([
    ['a TypeError', new TypeError('x is not a function')],
    ['a ReferenceError', new ReferenceError('x is not defined')],
    ['an abort', new DOMException('gave up', 'AbortError')],
    ['a refusal of a policy underneath', new CircuitOpenError('redis', 'open', 1_000)],
    ['a full bulkhead underneath', new BulkheadFullError('redis', 1, 0)],
  ])('never repeats %s, and the circuit does not count it', async (_name, error) => {
    const policy = create({ retry: exact, breaker: { strategy: { kind: 'consecutive', failures: 1 } } });
    let runs = 0;

    await expect(policy.execute(() => (runs++, Promise.reject(error)))).rejects.toBe(error);
    expect(runs).toBe(1);
    expect(policy.snapshot().circuit?.state).toBe('closed');
  });

  it('repeats a failed fetch, which is a TypeError with a cause', async () => {
    const policy = create({ retry: exact });
    const error = new TypeError('fetch failed', { cause: new Error('ECONNREFUSED') });
    const seen = watch(policy.execute(({ attempt }) => (attempt === 1 ? Promise.reject(error) : 'done')));
    await clock.advance(100);

    expect(seen.value).toBe('done');
  });

  it('asks retryIf, and waits as long as the other side asked', async () => {
    const policy = create({
      retry: { ...exact, retryIf: (error) => error instanceof RangeError, retryAfterMs: () => 5_000 },
    });
    await expect(policy.execute(boom)).rejects.toThrow('boom');

    const seen = watch(policy.execute(({ attempt }) => (attempt === 1 ? Promise.reject(new RangeError()) : attempt)));
    await clock.advance(4_999);
    expect(seen.done).toBe(false);
    await clock.advance(1);
    expect(seen.value).toBe(2);
  });

  it('gives up at once when the next run would come after the end of the call', async () => {
    const policy = create({ totalTimeoutMs: 250, retry: exact, breaker: false });
    const seen = watch(policy.execute(boom));
    await clock.advance(100);

    expect(seen.error).toMatchObject({ message: 'boom' });
    expect(attemptsOf(seen.error)).toBe(2);
  });

  it('keeps the retries of all calls within the budget', async () => {
    const policy = create({
      retry: { ...exact, budget: { maxTokens: 3, tokensPerCall: 0, tokensPerSecond: 0.001 } },
      breaker: false,
    });
    const calls = Array.from({ length: 4 }, () => watch(policy.execute(boom)));
    await clock.advance(20_000);

    expect(calls.every((seen) => seen.done)).toBe(true);
    expect(policy.snapshot().retries).toBe(3);
  });
});

describe('breaker', () => {
  const failCalls = async (policy: Policy, times: number): Promise<void> => {
    for (let time = 0; time < times; time++) {
      const seen = watch(policy.execute(boom));
      await clock.until(() => seen.done);
    }
  };

  it('counts one vote a call: one call with 5 retries opens nothing, 5 calls do', async () => {
    const policy = create({ retry: exact });
    await failCalls(policy, 4);
    expect(policy.snapshot()).toMatchObject({ retries: 20, circuit: { state: 'closed' } });

    await failCalls(policy, 1);
    expect(policy.snapshot().circuit?.state).toBe('open');
  });

  it('counts every run with voteOn attempt', async () => {
    const policy = create({
      retry: { ...exact, maxRetries: 2 },
      breaker: { voteOn: 'attempt', strategy: { kind: 'consecutive', failures: 4 } },
    });
    await failCalls(policy, 1);
    expect(policy.snapshot().circuit?.state).toBe('closed');
    await failCalls(policy, 1);
    expect(policy.snapshot().circuit?.state).toBe('open');
  });

  it('throws the error of the work, not the refusal, when the circuit opens between two runs', async () => {
    const policy = create({ retry: exact, breaker: { strategy: { kind: 'consecutive', failures: 1 } } });
    const seen = watch(policy.execute(boom));
    await clock.advance(100);

    expect(seen.error).toMatchObject({ message: 'boom' });
    expect(attemptsOf(seen.error)).toBe(1);
  });

  it('refuses at once while it is open, without a retry, a stack or a run of the work', async () => {
    const policy = create({ retry: exact, breaker: { openJitter: 0 } });
    await failCalls(policy, 5);
    let runs = 0;
    const error: unknown = await policy.execute(() => void runs++).catch((reason: unknown) => reason);

    expect(CircuitOpenError.is(error) && error.stack).not.toContain('    at ');
    expect(runs).toBe(0);
    expect(policy.snapshot()).toMatchObject({ rejected: 1 });
    expect(Error.stackTraceLimit).toBeGreaterThan(0);
  });

  it('frees the place of a probe whose caller aborts', async () => {
    const policy = create({ retry: false, breaker: { successesToClose: 1, openJitter: 0 } });
    await failCalls(policy, 5);
    await clock.advance(60_000);
    const abort = new AbortController();
    const seen = watch(policy.execute(never, { signal: abort.signal }));
    await clock.settle();
    await expect(policy.execute(() => 1)).rejects.toThrow(CircuitOpenError);
    abort.abort(new Error('enough'));
    await clock.settle();

    expect(seen.error).toMatchObject({ message: 'enough' });
    expect(await policy.execute(() => 1)).toBe(1);
    expect(policy.snapshot().circuit?.state).toBe('closed');
  });

  it('gives the permit back when a predicate of the user throws', async () => {
    const policy = create({
      retry: false,
      breaker: {
        successesToClose: 1,
        openJitter: 0,
        strategy: { kind: 'consecutive', failures: 1 },
        failureIf: (error) => {
          if (error instanceof RangeError) throw new Error('predicate');
          return true;
        },
      },
    });
    await failCalls(policy, 1);
    await clock.advance(60_000);
    await expect(policy.execute(() => Promise.reject(new RangeError('probe')))).rejects.toThrow('predicate');

    expect(await policy.execute(() => 1)).toBe(1);
  });
});

describe('timeouts', () => {
  it('cuts a run that takes too long, aborts its signal with the same error and runs again', async () => {
    const policy = create({ attemptTimeoutMs: 1_000, retry: { ...exact, maxRetries: 1 } });
    const contexts: AttemptContext[] = [];
    const seen = watch(
      policy.execute((context) => {
        contexts.push(context);
        return context.signal.aborted ? 0 : never();
      }),
    );
    await clock.advance(2_100);

    expect(PolicyTimeoutError.is(seen.error) && seen.error.scope).toBe('attempt');
    expect(contexts.map(({ signal }) => signal.aborted)).toEqual([true, true]);
    expect(contexts[1]?.signal.reason).toBe(seen.error);
    expect(policy.snapshot()).toMatchObject({ timedOut: 1, retries: 1 });
  });

  it('cuts the whole call and says what failed before', async () => {
    const policy = create({ totalTimeoutMs: 1_000, retry: exact });
    const seen = watch(policy.execute(({ attempt }) => (attempt === 1 ? boom() : never())));
    await clock.advance(1_000);

    expect(PolicyTimeoutError.is(seen.error) && seen.error.scope).toBe('total');
    expect(seen.error).toMatchObject({ cause: { message: 'boom' } });
    expect(attemptsOf(seen.error)).toBe(2);
  });

  it("never reports the caller's abort as a time-out", async () => {
    const policy = create({ totalTimeoutMs: 5_000, attemptTimeoutMs: 1_000 });
    const abort = new AbortController();
    const reason = new Error('enough');
    let inner: AbortSignal | undefined;
    const seen = watch(policy.execute(({ signal }) => ((inner = signal), never()), { signal: abort.signal }));
    await clock.advance(10);
    abort.abort(reason);
    await clock.settle();

    expect(seen.error).toBe(reason);
    expect(inner?.reason).toBe(reason);
    expect(policy.snapshot()).toMatchObject({ cancelled: 1, timedOut: 0, circuit: { state: 'closed' } });
  });

  it('does not let the late result of a run that was cut disturb the next one', async () => {
    const policy = create({ attemptTimeoutMs: 100, retry: exact, breaker: false });
    let finishFirst: (value: string) => void = () => {};
    const abort = new AbortController();
    const seen = watch(
      policy.execute(
        ({ attempt }) => (attempt === 1 ? new Promise<string>((resolve) => (finishFirst = resolve)) : never()),
        { signal: abort.signal },
      ),
    );
    await clock.advance(210);
    finishFirst('late');
    await clock.settle();
    expect(seen.done).toBe(false);

    // The second run still hears of the abort.
    abort.abort(new Error('enough'));
    await clock.settle();
    expect(seen.error).toMatchObject({ message: 'enough' });
  });

  it('gives work that reads its signal late an aborted one', async () => {
    const policy = create({ attemptTimeoutMs: 100, retry: false });
    let context: AttemptContext | undefined;
    const seen = watch(policy.execute((given) => ((context = given), never())));
    await clock.advance(100);

    expect(seen.done).toBe(true);
    expect(context?.signal.aborted).toBe(true);
  });

  it('does not abort the signal of a run that succeeded', async () => {
    const policy = create({ attemptTimeoutMs: 100 });
    const signal = await policy.execute((context) => context.signal);
    await clock.advance(1_000);

    expect(signal.aborted).toBe(false);
  });

  it('leaves no timer and no listener behind', async () => {
    const policy = create({ totalTimeoutMs: 1_000, attemptTimeoutMs: 100 });
    const abort = new AbortController();
    await Promise.all(Array.from({ length: 100 }, () => policy.execute(() => 1, { signal: abort.signal })));
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
    registry.close();

    expect(clock.pendingTimers).toBe(0);
  });
});

describe('bulkhead', () => {
  it('lets only so many run, queues so many and refuses the rest at once', async () => {
    const policy = create({ bulkhead: { limit: 2, queueLimit: 1 }, retry: exact });
    const finish: (() => void)[] = [];
    const run = () => watch(policy.execute(() => new Promise<void>((resolve) => finish.push(resolve))));
    run();
    run();
    const queued = run();
    await expect(policy.execute(() => 1)).rejects.toThrow(BulkheadFullError);
    expect(policy.snapshot()).toMatchObject({ rejected: 1, bulkhead: { active: 2, waiting: 1 } });

    await clock.settle();
    finish[0]?.();
    await clock.settle();
    expect(policy.snapshot().bulkhead).toEqual({ active: 2, waiting: 0 });
    finish.forEach((done) => done());
    await clock.settle();
    expect(queued.done).toBe(true);
    expect(policy.snapshot().bulkhead).toEqual({ active: 0, waiting: 0 });
  });

  it('hands a place to the one who waits longest, however many newcomers there are, and never runs more than its limit', async () => {
    const policy = create({ bulkhead: { limit: 1, queueLimit: 1 }, breaker: false });
    let running = 0;
    let most = 0;
    // All in one turn of the event loop, so that newcomers come between any two steps of the hand-over.
    const work = async (): Promise<string> => {
      most = Math.max(most, ++running);
      for (let step = 0; step < 5; step++) {
        await Promise.resolve();
      }
      running -= 1;
      return 'ran';
    };
    const first = policy.execute(work);
    const queued = policy.execute(work);
    const newcomers: Promise<unknown>[] = [];
    for (let turn = 0; turn < 100; turn++) {
      await Promise.resolve();
      for (let newcomer = 0; newcomer < 2; newcomer++) {
        newcomers.push(policy.execute(work).catch((error: unknown) => BulkheadFullError.is(error) || error));
      }
    }

    expect(await first).toBe('ran');
    expect(await queued).toBe('ran');
    expect(new Set(await Promise.all(newcomers))).toEqual(new Set([true, 'ran']));
    expect(most).toBe(1);
  });

  it('takes a caller that aborts out of the queue', async () => {
    const policy = create({ bulkhead: { limit: 1, queueLimit: 1 } });
    const abort = new AbortController();
    watch(policy.execute(never));
    const seen = watch(policy.execute(() => 1, { signal: abort.signal }));
    abort.abort(new Error('enough'));
    await clock.settle();

    expect(seen.error).toMatchObject({ message: 'enough' });
    expect(policy.snapshot().bulkhead).toEqual({ active: 1, waiting: 0 });
  });
});

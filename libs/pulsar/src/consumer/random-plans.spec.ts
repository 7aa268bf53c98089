import { SeededRandom } from '@smartpulse/resilience/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MemoryDedupeStore } from '../dedupe/memory.dedupe-store.js';
import { type FaultPlan, injectedFault } from '../testing/fault-injecting.transport.js';
import { startApp, type TestApp } from '../testing/test-app.js';
import type { IncomingMessage } from '../transport/pulsar.transport.js';
import type { ConsumerOptions } from './consumer-options.js';
import type { PulsarContext } from './pulsar-context.js';
import { deadLetter, nack, type Settlement } from './settlement.js';

const TOPIC = 'persistent://public/default/jobs';
const RETRY_TOPIC = `${TOPIC}-worker-RETRY`;
const DLQ = `${TOPIC}-worker-DLQ`;
/** Longer than all waits of the longest plan together. */
const QUIET_MS = 600_000;

type Outcome = 'throws' | 'hangs' | 'nacks' | 'gives up';

/** What happens to one message: run by run, then it is handled. */
interface Job {
  readonly key: number | undefined;
  readonly outcomes: readonly Outcome[];
  /** Published so often under one idempotency key. */
  readonly copies: number;
}

interface Fault {
  readonly point: 'send' | 'afterSend' | 'ack';
  readonly on: 'topic' | 'retry' | 'letters';
  /** From which passage on, and how many fail. */
  readonly from: number;
  readonly times: number;
}

interface Plan {
  readonly retryTopic: boolean;
  readonly manual: boolean;
  readonly dedupe: boolean;
  readonly concurrency: number;
  readonly maxAttempts: number;
  readonly jobs: readonly Job[];
  readonly faults: readonly Fault[];
}

const plans: fc.Arbitrary<Plan> = fc.record({
  retryTopic: fc.boolean(),
  manual: fc.boolean(),
  dedupe: fc.boolean(),
  concurrency: fc.integer({ min: 1, max: 4 }),
  maxAttempts: fc.integer({ min: 1, max: 3 }),
  jobs: fc.array(
    fc.record({
      key: fc.option(fc.nat(2), { nil: undefined }),
      outcomes: fc.array(fc.constantFrom<Outcome>('throws', 'hangs', 'nacks', 'gives up'), { maxLength: 3 }),
      copies: fc.constantFrom(1, 1, 2),
    }),
    { minLength: 1, maxLength: 12 },
  ),
  faults: fc.array(
    fc.record({
      point: fc.constantFrom<Fault['point']>('send', 'afterSend', 'ack'),
      on: fc.constantFrom<Fault['on']>('topic', 'retry', 'letters'),
      from: fc.nat(5),
      times: fc.integer({ min: 1, max: 3 }),
    }),
    { maxLength: 3 },
  ),
});

/** What came of a plan. */
class Story {
  readonly runs = new Map<number, number>();
  readonly handled = new Map<number, number>();
  /** Ids in the order in which they were handled first. */
  readonly order: number[] = [];
  letters: readonly IncomingMessage[] = [];

  constructor(readonly plan: Plan) {}

  async play(): Promise<void> {
    const { plan } = this;
    const test = await startApp();
    await test.consumers.register<{ readonly id: number }>(this.#options(test), (payload, context) =>
      this.#run(payload.id, context),
    );
    for (const [id, { key, copies }] of plan.jobs.entries()) {
      for (let copy = 0; copy < copies; copy++) {
        await test.publisher.publish(
          'jobs',
          { id },
          { idempotencyKey: `job-${id}`, ...(key === undefined ? {} : { key: `k${key}` }) },
        );
      }
    }
    test.transport.plan = faultPlan(plan.faults);
    await test.clock.advance(QUIET_MS);
    test.transport.plan = () => undefined;
    await test.clock.advance(QUIET_MS);
    this.letters = await read(test, DLQ);
    expect(test.broker.stats(TOPIC).backlog('worker')).toBe(0);
    if (plan.retryTopic) {
      expect(test.broker.stats(RETRY_TOPIC).backlog('worker')).toBe(0);
    }
    await test.close();
    expect(test.clock.pendingTimers).toBe(0);
  }

  lettersOf(id: number): number {
    return this.letters.filter(({ payload }) => idIn(payload) === id).length;
  }

  #options({ clock }: TestApp): ConsumerOptions<{ readonly id: number }> {
    const { plan } = this;
    return {
      topic: 'jobs',
      subscription: 'worker',
      initialPosition: 'earliest',
      concurrency: plan.concurrency,
      maxAttempts: plan.maxAttempts,
      timeoutMs: 1_000,
      backoff: { initialMs: 100, maxMs: 1_000, jitter: 'none' },
      ack: plan.manual ? 'manual' : 'auto',
      ...(plan.retryTopic ? { retry: { mode: 'retry-topic', keyOrder: 'given-up' } } : {}),
      ...(plan.dedupe ? { dedupe: { store: new MemoryDedupeStore({ clock, random: new SeededRandom() }) } } : {}),
    };
  }

  async #run(id: number, context: PulsarContext): Promise<Settlement | void> {
    const run = this.runs.get(id) ?? 0;
    this.runs.set(id, run + 1);
    const outcome = this.plan.jobs[id]?.outcomes[run];
    const { manual } = this.plan;
    if (outcome === 'throws') {
      throw new Error('It fails.');
    }
    if (outcome === 'hangs') {
      await new Promise<never>((_, reject) => {
        context.signal.addEventListener('abort', () => reject(new Error('It hung.')), { once: true });
      });
    }
    if (outcome === 'nacks') {
      return manual ? context.nack(50) : nack(50);
    }
    if (outcome === 'gives up') {
      return manual ? context.deadLetter('enough') : deadLetter('enough');
    }
    if (!this.order.includes(id)) {
      this.order.push(id);
    }
    this.handled.set(id, (this.handled.get(id) ?? 0) + 1);
    return manual ? context.ack() : undefined;
  }
}

function faultPlan(faults: readonly Fault[]): FaultPlan {
  const passed = new Map<string, number>();
  return ({ point, topic }) => {
    const on = topic === DLQ ? 'letters' : topic === RETRY_TOPIC ? 'retry' : 'topic';
    const place = `${point} ${on}`;
    const count = passed.get(place) ?? 0;
    passed.set(place, count + 1);
    const strikes = faults.some(
      (fault) => `${fault.point} ${fault.on}` === place && count >= fault.from && count < fault.from + fault.times,
    );
    return strikes ? injectedFault(topic) : undefined;
  };
}

async function read(test: TestApp, topic: string): Promise<readonly IncomingMessage[]> {
  const messages: IncomingMessage[] = [];
  const consumer = await test.transport.subscribe(
    { topic, subscription: 'reader', type: 'Exclusive', initialPosition: 'earliest', durable: false },
    { onMessage: (message) => messages.push(message), onClosed: () => {} },
  );
  consumer.permit(1_000);
  await test.clock.settle();
  await consumer.close();
  return messages;
}

function idIn(payload: Uint8Array): number {
  return (JSON.parse(Buffer.from(payload).toString('utf8')) as { readonly id: number }).id;
}

describe('a consumer under random plans of outcomes and faults, in every mode', () => {
  it('handles or dead-letters each message, forgets none, and handles none twice that it remembers', async () => {
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        const story = new Story(plan);
        await story.play();
        for (const id of plan.jobs.keys()) {
          const handled = story.handled.get(id) ?? 0;
          expect(handled + story.lettersOf(id), `job ${id}`).toBeGreaterThanOrEqual(1);
          if (plan.dedupe) {
            expect(handled, `job ${id}`).toBeLessThanOrEqual(1);
          }
        }
        for (const { properties } of story.letters) {
          const failedAt = Date.parse(properties['x-first-failure-at'] ?? '');
          expect(failedAt).toBeLessThanOrEqual(Date.parse(properties['x-dead-lettered-at'] ?? ''));
        }
      }),
      { numRuns: 120 },
    );
  });

  it('without faults ends each copy once, within its attempts, and in a lane keeps the order of keys', async () => {
    await fc.assert(
      fc.asyncProperty(plans, async (plan) => {
        const story = new Story({ ...plan, faults: [] });
        await story.play();
        for (const [id, { copies, outcomes }] of plan.jobs.entries()) {
          const ended = (story.handled.get(id) ?? 0) + story.lettersOf(id);
          // What failed for good is not remembered as handled: its copy has attempts of its own.
          expect(ended, `job ${id}`).toBeGreaterThanOrEqual(plan.dedupe ? 1 : copies);
          expect(ended, `job ${id}`).toBeLessThanOrEqual(copies);
          expect(story.runs.get(id), `job ${id}`).toBeLessThanOrEqual(plan.maxAttempts * copies);
          expect(story.runs.get(id), `job ${id}`).toBeLessThanOrEqual(outcomes.length + copies);
        }
        if (!plan.retryTopic && plan.jobs.every(({ outcomes }) => !outcomes.includes('nacks'))) {
          for (const key of [0, 1, 2]) {
            const ofKey = story.order.filter((id) => plan.jobs[id]?.key === key);
            expect(ofKey).toEqual(ofKey.toSorted((one, other) => one - other));
          }
        }
      }),
      { numRuns: 80 },
    );
  });
});

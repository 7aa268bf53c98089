import {
  Catch,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  Inject,
  Injectable,
  type PipeTransform,
  Scope,
  UseFilters,
  UseGuards,
  UsePipes,
} from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { ConfigurationError } from '@smartpulse/resilience';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  BatchItemsFailed,
  Ctx,
  deadLetter,
  defineEvent,
  isPulsarContext,
  Payload,
  Properties,
  type PulsarBatchContext,
  PulsarSubscribe,
  textCodec,
} from '../../index.js';
import { startApp, type TestApp, type TestAppParts } from '../../testing/test-app.js';

const TOPIC = 'persistent://public/default/t';
const NO_JITTER = { initialMs: 1_000, multiplier: 2, jitter: 'none' } as const;
const opened: TestApp[] = [];

async function open(parts?: TestAppParts): Promise<TestApp> {
  const app = await startApp(parts);
  opened.push(app);
  return app;
}

async function publish({ publisher }: TestApp, payloads: readonly unknown[], key?: (n: number) => string) {
  for (const [n, payload] of payloads.entries()) {
    await publisher.publish('t', payload, key === undefined ? {} : { key: key(n) });
  }
}

afterEach(async () => {
  for (const app of opened.splice(0)) {
    await app.close();
    expect(app.clock.pendingTimers).toBe(0);
  }
});

describe('a batch handler', () => {
  it('gets payloads and what is known of each message, and its return acknowledges all', async () => {
    const app = await open();
    const seen: [number[], PulsarBatchContext][] = [];
    const handle = await app.consumers.register(
      { topic: 't', subscription: 's', batch: { maxMessages: 3 } },
      (numbers: number[], context) => {
        seen.push([numbers, context]);
      },
    );
    await app.publisher.publish('t', 1, { key: 'a', properties: { p: 'x' } });
    await app.publisher.publish('t', 2, { key: 'a' });
    await app.publisher.publish('t', 3);
    await app.publisher.publish('t', 4);
    await app.clock.advance(100);
    expect(seen.map(([numbers]) => numbers)).toEqual([[1, 2, 3], [4]]);
    const [, context] = seen[0]!;
    expect(context.topic).toBe(TOPIC);
    expect(context.messages).toMatchObject([
      { key: 'a', properties: { p: 'x' }, attempt: 1, topic: TOPIC },
      { key: 'a', attempt: 1 },
      { key: undefined, attempt: 1 },
    ]);
    expect(handle.stats()).toMatchObject({ received: 4, acked: 4, failed: 0, inFlight: 0 });
    expect(app.broker.stats(TOPIC).backlog('s')).toBe(0);
  });

  it('that names failed items has the others acknowledged; those come again with attempts of their own, and at last as dead letters', async () => {
    const app = await open();
    const runs: [number, number][][] = [];
    const handle = await app.consumers.register(
      { topic: 't', subscription: 's', batch: { maxMessages: 10 }, maxAttempts: 3, backoff: NO_JITTER },
      (numbers: number[], { messages }) => {
        runs.push(numbers.map((n, index) => [n, messages[index]!.attempt]));
        throw new BatchItemsFailed(
          numbers.flatMap((n, index) => (n < 0 ? [{ index, error: new RangeError(`${n} is below 0`) }] : [])),
        );
      },
    );
    await publish(app, [1, -2, 3, -4]);
    await app.clock.advance(200);
    expect(handle.stats()).toMatchObject({ acked: 2, failed: 2, retried: 2, inFlight: 2 });
    await app.clock.advance(1_200);
    await app.clock.advance(2_200);
    expect(runs).toEqual([
      [
        [1, 1],
        [-2, 1],
        [3, 1],
        [-4, 1],
      ],
      [
        [-2, 2],
        [-4, 2],
      ],
      [[-2, 3]],
      [[-4, 3]],
    ]);
    expect(handle.stats()).toMatchObject({ acked: 4, deadLettered: 2, inFlight: 0 });
    expect(app.broker.stats(`${TOPIC}-s-DLQ`).messages).toBe(2);
  });

  it('that throws anything else fails as a whole, and the last attempt of each is made alone: only the culprit becomes a dead letter', async () => {
    const app = await open();
    const runs: number[][] = [];
    const handle = await app.consumers.register(
      { topic: 't', subscription: 's', batch: { maxMessages: 10 }, maxAttempts: 2, backoff: NO_JITTER },
      (numbers: number[]) => {
        runs.push(numbers);
        if (numbers.includes(13)) {
          throw new Error('cannot take 13');
        }
      },
    );
    await publish(app, [11, 12, 13, 14]);
    await app.clock.advance(2_000);
    expect(runs).toEqual([[11, 12, 13, 14], [11], [12], [13], [14]]);
    expect(handle.stats()).toMatchObject({ acked: 4, deadLettered: 1, inFlight: 0 });
  });

  it('that names an item it was not given fails as a whole', async () => {
    const app = await open();
    const runs: number[][] = [];
    await app.consumers.register(
      { topic: 't', subscription: 's', batch: {}, backoff: NO_JITTER },
      (numbers: number[]) => {
        runs.push(numbers);
        if (runs.length === 1) {
          throw new BatchItemsFailed([{ index: 2, error: new Error('no such item') }]);
        }
      },
    );
    await publish(app, [1, 2]);
    await app.clock.advance(2_000);
    expect(runs).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });

  it('keeps the order of a key: what failed stands before what came later, and what it reports handled later in the batch stays so', async () => {
    const app = await open();
    const seen: number[][] = [];
    await app.consumers.register(
      {
        topic: 't',
        subscription: 's',
        type: 'Key_Shared',
        concurrency: 4,
        batch: { maxMessages: 3 },
        backoff: NO_JITTER,
      },
      (numbers: number[]) => {
        seen.push(numbers);
        if (seen.length === 1) {
          throw new BatchItemsFailed([{ index: 1, error: new Error('not yet') }]);
        }
      },
    );
    await publish(app, [0, 1, 2, 3, 4, 5, 6], () => 'k');
    await app.clock.advance(500);
    expect(seen).toEqual([[0, 1, 2]]);
    await app.clock.advance(1_000);
    expect(seen).toEqual([
      [0, 1, 2],
      [1, 3, 4],
      [5, 6],
    ]);
  });

  it('never sees what cannot be read: that goes to the dead letters with its issues, the rest of the batch is handled', async () => {
    const reading = defineEvent({ name: 'reading', topic: 't', schema: z.object({ megawatt: z.number() }) });
    const app = await open();
    const seen: unknown[] = [];
    const handle = await app.consumers.register(
      { topic: reading, subscription: 's', batch: {} },
      (readings: readonly { megawatt: number }[]) => {
        seen.push(...readings.map(({ megawatt }) => megawatt));
      },
    );
    const letters: Record<string, string>[] = [];
    await app.consumers.register(
      { topic: 't-s-DLQ', subscription: 'look', initialPosition: 'earliest' },
      (_, { properties }) => {
        letters.push({ ...properties });
      },
    );
    await publish(app, [{ megawatt: 1 }, { megawatt: 'much' }, { megawatt: 3 }]);
    await app.clock.advance(1_000);
    expect(seen).toEqual([1, 3]);
    expect(letters).toMatchObject([{ 'x-reason': 'invalid' }]);
    expect(letters[0]?.['x-validation-issues']).toMatch(/megawatt/);
    expect(handle.stats()).toMatchObject({ acked: 3, deadLettered: 1, failed: 0 });
  });

  it('is called by no batch that holds nothing readable', async () => {
    const app = await open();
    let runs = 0;
    await app.consumers.register(
      { topic: 't', subscription: 's', batch: {}, codec: { ...textCodec, decode: refuse } },
      () => {
        runs++;
      },
    );
    await publish(app, [1, 2]);
    await app.clock.advance(1_000);
    expect(runs).toBe(0);
    expect(app.broker.stats(`${TOPIC}-s-DLQ`).messages).toBe(2);
  });

  it('may settle a whole batch by what it answers', async () => {
    const app = await open();
    const handle = await app.consumers.register({ topic: 't', subscription: 's', batch: {} }, () =>
      deadLetter('not ours'),
    );
    await publish(app, [1, 2]);
    await app.clock.advance(1_000);
    expect(handle.stats()).toMatchObject({ deadLettered: 2, acked: 2, inFlight: 0 });
  });

  it('that takes too long is aborted and counts as failed for each of its messages', async () => {
    const app = await open();
    let aborts = 0;
    const handle = await app.consumers.register(
      { topic: 't', subscription: 's', batch: {}, timeoutMs: 500 },
      (_: unknown[], { signal }) =>
        new Promise<void>((resolve) =>
          signal.addEventListener('abort', () => {
            aborts++;
            resolve();
          }),
        ),
    );
    await publish(app, [1, 2]);
    await app.clock.advance(650);
    expect(aborts).toBe(1);
    expect(handle.stats()).toMatchObject({ failed: 2, retried: 2 });
  });

  it('spends no attempts on an outage, whether it concerns all items or some', async () => {
    class Down extends Error {}
    const app = await open();
    const runs: [number, number][][] = [];
    let mode: 'all' | 'some' | 'up' = 'all';
    const handle = await app.consumers.register(
      {
        topic: 't',
        subscription: 's',
        batch: {},
        maxAttempts: 1,
        backoff: NO_JITTER,
        isOutage: (error) => error instanceof Down,
      },
      (numbers: number[], { messages }) => {
        runs.push(numbers.map((n, index) => [n, messages[index]!.attempt]));
        if (mode === 'all') {
          throw new Down();
        }
        if (mode === 'some') {
          throw new BatchItemsFailed([{ index: 1, error: new Down() }]);
        }
      },
    );
    await publish(app, [1, 2]);
    await app.clock.advance(150);
    expect(handle.state.status).toBe('outage');
    mode = 'some';
    await app.clock.advance(1_500);
    mode = 'up';
    await app.clock.advance(5_000);
    expect(runs).toEqual([
      [
        [1, 1],
        [2, 1],
      ],
      [
        [1, 1],
        [2, 1],
      ],
      [[2, 1]],
    ]);
    expect(handle.state.status).toBe('consuming');
    expect(handle.stats()).toMatchObject({ acked: 2, failed: 0, deadLettered: 0, outages: 1, inFlight: 0 });
  });

  it('runs as many batches at once as its concurrency says, never one key in two', async () => {
    const app = await open();
    let running = 0;
    let most = 0;
    const keys = new Set<string>();
    const handle = await app.consumers.register(
      { topic: 't', subscription: 's', type: 'Key_Shared', concurrency: 3, batch: { maxMessages: 2 }, timeoutMs: 0 },
      async (_: number[], { messages }) => {
        most = Math.max(most, ++running);
        const mine = new Set(messages.map(({ key = '' }) => key));
        mine.forEach((key) => {
          expect(keys.has(key)).toBe(false);
          keys.add(key);
        });
        await app.clock.sleep(50);
        mine.forEach((key) => keys.delete(key));
        running--;
      },
    );
    await publish(
      app,
      Array.from({ length: 60 }, (_, n) => n),
      (n) => `k${n % 7}`,
    );
    await app.clock.advance(5_000);
    expect(most).toBe(3);
    expect(handle.stats()).toMatchObject({ acked: 60, failed: 0, inFlight: 0 });
  });

  it('counts on where the attempts of messages were when its consumer is lost', async () => {
    const app = await open();
    const attempts: number[][] = [];
    const handle = await app.consumers.register(
      { topic: 't', subscription: 's', batch: {}, maxAttempts: 4, backoff: { ...NO_JITTER, initialMs: 5_000 } },
      (_: unknown[], { messages }) => {
        attempts.push(messages.map(({ attempt }) => attempt));
        throw new Error('poison');
      },
    );
    await publish(app, [1, 2]);
    for (let round = 0; round < 4; round++) {
      await app.clock.advance(1_000);
      await app.transport.dropConsumers();
      await app.clock.advance(60_000);
    }
    expect(attempts).toEqual([[1, 1], [2, 2], [3, 3], [4], [4]]);
    expect(handle.stats()).toMatchObject({ deadLettered: 2, inFlight: 0 });
  });

  it('refuses at start what no batch can be', async () => {
    const app = await open();
    const refused: unknown = await app.consumers
      .register(
        { topic: 't', subscription: 's', concurrency: 50, batch: { maxMessages: 10_000, maxWaitMs: 5 } },
        () => undefined,
      )
      .catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ConfigurationError);
    expect(String(refused)).toMatch(/batch\.maxMessages.*100000 messages/s);
    await expect(
      app.consumers.register({ topic: 't', subscription: 's', batch: { maxWaitMs: -1 } }, () => undefined),
    ).rejects.toThrow(/batch\.maxWaitMs/);
  });
});

function refuse(): never {
  throw new Error('cannot be decoded');
}

describe('@PulsarSubscribe with batch', () => {
  it('gives arrays to @Payload, its fields and @Properties, after guards and pipes have had the batch', async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Guard implements CanActivate {
      canActivate(context: ExecutionContext): boolean {
        seen.push(['guard', isPulsarContext(context)]);
        return true;
      }
    }
    @Injectable()
    class Doubling implements PipeTransform {
      transform(readings: { n: number }[]): unknown {
        return readings.map((one) => (typeof one === 'object' ? { ...one, n: one.n * 2 } : one));
      }
    }
    @Injectable()
    class Handler {
      @PulsarSubscribe({ topic: 't', subscription: 's', batch: { maxMessages: 2 } })
      @UseGuards(Guard)
      @UsePipes(Doubling)
      handle(
        @Payload() readings: readonly { n: number }[],
        @Payload('unit') units: readonly string[],
        @Properties('p') marks: readonly (string | undefined)[],
        @Ctx() { messages }: PulsarBatchContext,
      ): void {
        seen.push([readings, units, marks, messages.length]);
      }
    }
    const app = await open({ providers: [Handler, Guard, Doubling] });
    await app.publisher.publish('t', { unit: 'a', n: 1 }, { properties: { p: 'x' } });
    await app.publisher.publish('t', { unit: 'b', n: 2 });
    await app.clock.advance(100);
    expect(seen).toEqual([
      ['guard', true],
      [
        [
          { unit: 'a', n: 2 },
          { unit: 'b', n: 4 },
        ],
        ['a', 'b'],
        ['x', undefined],
        2,
      ],
    ]);
  });

  it('makes one request-scoped instance per batch, whose REQUEST is the batch context', async () => {
    const requests: PulsarBatchContext[] = [];
    @Injectable({ scope: Scope.REQUEST })
    class Handler {
      constructor(@Inject(REQUEST) readonly request: PulsarBatchContext) {
        requests.push(request);
      }
      @PulsarSubscribe({ topic: 't', subscription: 's', batch: { maxMessages: 2 } })
      handle(_: unknown[], context: PulsarBatchContext): void {
        expect(context).toBe(this.request);
      }
    }
    const app = await open({ providers: [Handler] });
    await publish(app, [1, 2, 3, 4]);
    await app.clock.advance(100);
    expect(requests.map(({ messages }) => messages.length)).toEqual([2, 2]);
    expect(app.broker.stats(TOPIC).backlog('s')).toBe(0);
  });

  it('lets a filter that answers handle the batch, and one that throws name what failed', async () => {
    @Catch(TypeError)
    class Swallow implements ExceptionFilter {
      catch(): void {
        // Handled.
      }
    }
    @Catch(RangeError)
    class Blame implements ExceptionFilter {
      catch(error: RangeError): never {
        throw new BatchItemsFailed([{ index: 0, error }]);
      }
    }
    const runs: number[][] = [];
    @Injectable()
    class Handler {
      @PulsarSubscribe({ topic: 't', subscription: 's', batch: { maxMessages: 2 }, maxAttempts: 2, backoff: NO_JITTER })
      @UseFilters(Swallow, Blame)
      handle(numbers: number[]): void {
        runs.push(numbers);
        if (numbers.includes(1)) {
          throw new TypeError('filtered');
        }
        throw new RangeError('blamed');
      }
    }
    const app = await open({ providers: [Handler] });
    await publish(app, [1, 2, 3, 4]);
    await app.clock.advance(5_000);
    expect(runs).toEqual([[1, 2], [3, 4], [3]]);
    expect(app.broker.stats(`${TOPIC}-s-DLQ`).messages).toBe(1);
    expect(app.broker.stats(TOPIC).backlog('s')).toBe(0);
  });
});

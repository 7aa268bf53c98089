import {
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Inject,
  Injectable,
  type INestApplicationContext,
  Module,
  type PipeTransform,
  Scope,
  type Type,
  UseFilters,
  UseGuards,
  UsePipes,
} from '@nestjs/common';
import { APP_GUARD, NestFactory, REQUEST } from '@nestjs/core';
import { ConfigurationError, ResilienceModule, ShutdownCoordinator } from '@smartpulse/resilience';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  Ctx,
  defineEvent,
  isPulsarContext,
  nack,
  Payload,
  Properties,
  PulsarConnection,
  PulsarConsumers,
  type PulsarContext,
  PulsarError,
  PulsarHealthProbe,
  PulsarModule,
  type PulsarModuleOptions,
  PulsarPublisher,
  PulsarRegistry,
  PulsarSubscribe,
} from './index.js';
import { InProcessBroker, InProcessTransport } from './in-process/index.js';
import { FaultInjectingTransport, injectedFault } from './testing/index.js';

const clock = (): VirtualClock => new VirtualClock();

interface Started {
  readonly app: INestApplicationContext;
  readonly clock: VirtualClock;
  readonly broker: InProcessBroker;
  readonly publisher: PulsarPublisher;
}

const opened: INestApplicationContext[] = [];

async function start(
  providers: Type[],
  options: Partial<PulsarModuleOptions> = {},
  extra: { controllers?: Type[]; broker?: InProcessBroker; clock?: VirtualClock; more?: object[] } = {},
): Promise<Started> {
  const time = extra.clock ?? clock();
  const broker = extra.broker ?? new InProcessBroker({ clock: time, random: new SeededRandom() });
  @Module({
    imports: [
      ResilienceModule.forRoot({ clock: time, random: new SeededRandom() }),
      PulsarModule.forRoot({
        url: 'memory://',
        transport: new InProcessTransport(broker),
        ownTransport: true,
        ...options,
      }),
    ],
    providers: [...providers, ...((extra.more ?? []) as Type[])],
    controllers: extra.controllers ?? [],
  })
  class AppModule {}
  const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
  opened.push(app);
  return { app, clock: time, broker, publisher: app.get(PulsarPublisher) };
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((app) => app.close()));
});

const reading = defineEvent({
  name: 'reading',
  topic: 'readings',
  schema: z.object({ unit: z.string(), megawatt: z.number() }),
  key: (event) => event.unit,
});
type Reading = { unit: string; megawatt: number };

describe('PulsarModule', () => {
  it('hands payload, properties and context to a decorated method and acknowledges when it returns', async () => {
    @Injectable()
    class Handler {
      readonly seen: unknown[] = [];
      @PulsarSubscribe({ topic: reading, subscription: 'ledger' })
      handle(
        @Payload() event: Reading,
        @Payload('unit') unit: string,
        @Properties('source') source: string,
        @Properties() all: Record<string, string>,
        @Ctx() context: PulsarContext,
      ): void {
        this.seen.push([event, unit, source, all['source'], context.key, context.attempt, context.topic]);
      }
    }
    const { app, clock, publisher, broker } = await start([Handler]);
    const sent = publisher.publish(reading, { unit: 'U1', megawatt: 2.5 }, { properties: { source: 'scada' } });
    await clock.advance(100);
    await sent;
    expect(app.get(Handler).seen).toEqual([
      [{ unit: 'U1', megawatt: 2.5 }, 'U1', 'scada', 'scada', 'U1', 1, 'persistent://public/default/readings'],
    ]);
    expect(broker.stats('persistent://public/default/readings').backlog('ledger')).toBe(0);
  });

  it('gives (payload, context) to a method without parameter decorators', async () => {
    @Injectable()
    class Handler {
      readonly seen: unknown[] = [];
      @PulsarSubscribe({ topic: 'plain', subscription: 's' })
      handle(payload: unknown, context: PulsarContext): void {
        this.seen.push([payload, context.attempt]);
      }
    }
    const { app, publisher, clock } = await start([Handler], { producer: { batching: false } });
    await publisher.publish('plain', { a: 1 });
    await clock.settle();
    expect(app.get(Handler).seen).toEqual([[{ a: 1 }, 1]]);
  });

  it('runs guards, pipes and filters of the handler and its class, and leaves those of the whole app out', async () => {
    const calls: string[] = [];
    @Injectable()
    class OwnGuard implements CanActivate {
      canActivate(context: ExecutionContext): boolean {
        calls.push(`guard ${isPulsarContext(context)} ${context.getHandler().name}`);
        return true;
      }
    }
    @Injectable()
    class RefusingGuard implements CanActivate {
      canActivate(): boolean {
        calls.push('global guard');
        return false;
      }
    }
    @Injectable()
    class Doubling implements PipeTransform {
      transform(value: unknown): unknown {
        calls.push(`pipe ${typeof value}`);
        return typeof value === 'number' ? value * 2 : value;
      }
    }
    @Catch(RangeError)
    class Forgiving implements ExceptionFilter {
      catch(): void {
        calls.push('filter');
      }
    }
    @Injectable()
    @UseGuards(OwnGuard)
    @UseFilters(Forgiving)
    class Handler {
      readonly seen: unknown[] = [];
      @UsePipes(Doubling)
      @PulsarSubscribe({ topic: 'numbers', subscription: 's' })
      handle(@Payload() value: number, @Ctx() context: PulsarContext, @Properties() properties: object): void {
        this.seen.push([value, context.attempt, properties]);
        throw new RangeError('forgiven');
      }
    }
    const { app, publisher, clock } = await start(
      [Handler],
      { producer: { batching: false } },
      {
        more: [{ provide: APP_GUARD, useClass: RefusingGuard }],
      },
    );
    await publisher.publish('numbers', 21);
    await clock.settle();
    expect(app.get(Handler).seen).toEqual([[42, 1, {}]]);
    expect(calls).toEqual(['guard true handle', 'pipe number', 'filter']);
    expect(app.get(PulsarRegistry).list()[0]?.stats()).toMatchObject({ acked: 1, failed: 0 });
  });

  it('applies guards of the whole app when asked to', async () => {
    @Injectable()
    class Refusing implements CanActivate {
      canActivate(): boolean {
        return false;
      }
    }
    let handled = 0;
    @Injectable()
    class Handler {
      @PulsarSubscribe({ topic: 'n', subscription: 's', maxAttempts: 1 })
      handle(): void {
        handled++;
      }
    }
    const { app, publisher, clock } = await start(
      [Handler],
      { producer: { batching: false }, applyGlobalEnhancers: true },
      { more: [{ provide: APP_GUARD, useClass: Refusing }] },
    );
    await publisher.publish('n', 1);
    await clock.settle();
    expect(handled).toBe(0);
    expect(app.get(PulsarRegistry).list()[0]?.stats()).toMatchObject({ deadLettered: 1 });
  });

  it("runs a controller's guards and finds its handlers", async () => {
    const calls: string[] = [];
    @Injectable()
    class Dependency {}
    @Injectable()
    class Guard implements CanActivate {
      constructor(@Inject(Dependency) readonly dependency: Dependency) {}
      canActivate(): boolean {
        calls.push(`guard ${this.dependency instanceof Dependency}`);
        return true;
      }
    }
    @Controller()
    @UseGuards(Guard)
    class Handler {
      @PulsarSubscribe({ topic: 'c', subscription: 's' })
      handle(): void {
        calls.push('handled');
      }
    }
    const { publisher, clock } = await start(
      [Dependency],
      { producer: { batching: false } },
      { controllers: [Handler] },
    );
    await publisher.publish('c', 1);
    await clock.settle();
    expect(calls).toEqual(['guard true', 'handled']);
  });

  it('makes one instance per message for a request-scoped handler, whose REQUEST is the context', async () => {
    const seen: unknown[] = [];
    @Injectable({ scope: Scope.REQUEST })
    class Handler {
      constructor(@Inject(REQUEST) readonly request: PulsarContext) {}
      @PulsarSubscribe({ topic: 'r', subscription: 's' })
      handle(@Payload() payload: number): void {
        seen.push([payload, this.request.topic, this]);
      }
    }
    const { publisher, clock } = await start([Handler], { producer: { batching: false } });
    await publisher.publish('r', 1);
    await publisher.publish('r', 2);
    await clock.settle();
    expect(seen.map((one) => (one as unknown[]).slice(0, 2))).toEqual([
      [1, 'persistent://public/default/r'],
      [2, 'persistent://public/default/r'],
    ]);
    expect((seen[0] as unknown[])[2]).not.toBe((seen[1] as unknown[])[2]);
  });

  it('retries a throwing handler with growing waits and stores the dead letter after exactly maxAttempts runs', async () => {
    const runs: number[] = [];
    const { app, publisher, clock, broker } = await start([], { producer: { batching: false } });
    await app
      .get(PulsarConsumers)
      .register({ topic: 'p', subscription: 's', maxAttempts: 3, backoff: { jitter: 'none' } }, (_payload, context) => {
        runs.push(clock.monotonic());
        expect(context.attempt).toBe(runs.length);
        throw new TypeError('poison');
      });
    const letters: { properties: Readonly<Record<string, string>>; key: string | undefined }[] = [];
    await app.get(PulsarConsumers).register({ topic: 'p-s-DLQ', subscription: 'look' }, (_payload, context) => {
      letters.push(context);
    });
    await publisher.publish('p', { a: 1 }, { key: 'k', properties: { own: 'kept' } });
    await clock.advance(10_000);
    expect(runs).toEqual([0, 1_000, 3_000]);
    expect(letters).toHaveLength(1);
    expect(letters[0]?.key).toBe('k');
    expect(letters[0]?.properties).toMatchObject({
      own: 'kept',
      'x-exception-type': 'TypeError',
      'x-exception-message': 'poison',
      'x-attempts': '3',
      'x-reason': 'failed',
      'x-original-topic': 'persistent://public/default/p',
    });
    expect(letters[0]?.properties).not.toHaveProperty('x-exception-stack');
    expect(broker.stats('persistent://public/default/p').backlog('s')).toBe(0);
  });

  it('dead-letters a payload that does not fit its schema at once, with the issues', async () => {
    let handled = 0;
    const letters: Readonly<Record<string, string>>[] = [];
    const { app, publisher, clock } = await start([], { producer: { batching: false } });
    const consumers = app.get(PulsarConsumers);
    await consumers.register({ topic: reading, subscription: 's' }, () => void handled++);
    await consumers.register({ topic: 'readings-s-DLQ', subscription: 'look' }, (_payload, { properties }) => {
      letters.push(properties);
    });
    await publisher.publish('readings', { unit: 7 });
    await clock.settle();
    expect(handled).toBe(0);
    expect(letters[0]).toMatchObject({ 'x-reason': 'invalid', 'x-exception-type': 'InvalidPayloadError' });
    expect(JSON.parse(letters[0]?.['x-validation-issues'] ?? '')).toMatchObject([
      { path: 'unit' },
      { path: 'megawatt' },
    ]);
  });

  it('counts a nack as an attempt and dead-letters the message that is given back too often', async () => {
    let runs = 0;
    const { app, publisher, clock } = await start([], { producer: { batching: false } });
    const handle = await app.get(PulsarConsumers).register({ topic: 'n', subscription: 's', maxAttempts: 3 }, () => {
      runs++;
      return nack(500);
    });
    await publisher.publish('n', 1);
    await clock.advance(5_000);
    expect(runs).toBe(3);
    expect(handle.stats()).toMatchObject({ nacked: 2, deadLettered: 1, inFlight: 0 });
  });

  it('spends no attempt on an outage, pauses and resumes by the probe', async () => {
    let up = false;
    const runs: number[] = [];
    const { app, publisher, clock } = await start([], { producer: { batching: false } });
    const handle = await app.get(PulsarConsumers).register(
      {
        topic: 'o',
        subscription: 's',
        maxAttempts: 1,
        concurrency: 2,
        backoff: { jitter: 'none' },
        isOutage: (error) => error instanceof Error && error.message === 'down',
        probe: () => (up ? Promise.resolve() : Promise.reject(new Error('down'))),
      },
      (payload: number) => {
        runs.push(payload);
        if (!up) {
          throw new Error('down');
        }
      },
    );
    for (let n = 0; n < 6; n++) {
      await publisher.publish('o', n);
    }
    await clock.advance(60_000);
    const during = runs.length;
    expect(during).toBeLessThanOrEqual(2);
    expect(handle.state.status).toBe('outage');
    expect(app.get(PulsarHealthProbe).check().status).toBe('degraded');
    up = true;
    await clock.advance(60_000);
    expect(runs.slice(during).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(handle.stats()).toMatchObject({ acked: 6, deadLettered: 0, outages: 1, inFlight: 0 });
    expect(handle.state.status).toBe('consuming');
  });

  it('without a probe tries one message again while the others wait', async () => {
    let up = false;
    const runs: number[] = [];
    const { app, publisher, clock } = await start([], { producer: { batching: false } });
    const handle = await app.get(PulsarConsumers).register(
      {
        topic: 'o',
        subscription: 's',
        maxAttempts: 1,
        concurrency: 3,
        backoff: { jitter: 'none' },
        isOutage: () => !up,
      },
      (payload: number) => {
        runs.push(payload);
        if (!up) {
          throw new Error('down');
        }
      },
    );
    for (let n = 0; n < 3; n++) {
      await publisher.publish('o', n);
    }
    await clock.settle();
    const before = runs.length;
    await clock.advance(1_000);
    expect(runs.length).toBe(before + 1);
    up = true;
    await clock.advance(2_000);
    expect(handle.stats()).toMatchObject({ acked: 3, deadLettered: 0 });
  });

  it('aborts a handler that takes too long and counts the run as failed', async () => {
    const aborted: unknown[] = [];
    const { app, publisher, clock } = await start([], { producer: { batching: false } });
    const handle = await app.get(PulsarConsumers).register(
      { topic: 't', subscription: 's', maxAttempts: 2, timeoutMs: 1_000, backoff: { initialMs: 0, jitter: 'none' } },
      (_payload, { signal }) =>
        new Promise<void>((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            aborted.push(signal.reason);
            reject(new Error('stopped'));
          });
        }),
    );
    await publisher.publish('t', 1);
    await clock.advance(3_000);
    expect(aborted).toHaveLength(2);
    expect(handle.stats()).toMatchObject({ failed: 2, deadLettered: 1 });
  });

  it('pauses and resumes a consumer', async () => {
    const seen: number[] = [];
    const { app, publisher, clock } = await start([], { producer: { batching: false } });
    const handle = await app
      .get(PulsarConsumers)
      .register({ topic: 'p', subscription: 's' }, (payload: number) => void seen.push(payload));
    handle.pause();
    for (let n = 0; n < 10; n++) {
      await publisher.publish('p', n);
    }
    await clock.settle();
    expect([seen, handle.state.status]).toEqual([[], 'paused']);
    handle.resume();
    await clock.settle();
    expect([...seen].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('starts no handler after the drain began, waits for running ones and gives the rest back', async () => {
    const broker = new InProcessBroker({ clock: clock(), random: new SeededRandom() });
    const first = await start([], { producer: { batching: false } }, { broker, clock: broker.clock as VirtualClock });
    const began: number[] = [];
    let stopping = false;
    await first.app
      .get(PulsarConsumers)
      .register(
        { topic: 'd', subscription: 's', concurrency: 2, prefetch: 4, initialPosition: 'earliest' },
        async (payload: number) => {
          expect(stopping).toBe(false);
          began.push(payload);
          await first.clock.sleep(1_000);
          await first.publisher.publish('d-result', payload);
        },
      );
    for (let n = 0; n < 10; n++) {
      await first.publisher.publish('d', n);
    }
    await first.clock.settle();
    const closing = first.app.close();
    stopping = true;
    await first.clock.advance(2_000);
    await closing;
    expect(began).toEqual([0, 1]);
    const topic = 'persistent://public/default/d';
    expect(broker.stats(topic).backlog('s')).toBe(8);
    expect(broker.stats('persistent://public/default/d-result').messages).toBe(2);
    expect(first.clock.pendingTimers).toBe(0);

    const second = await start([], {}, { broker, clock: first.clock });
    const rest: number[] = [];
    await second.app
      .get(PulsarConsumers)
      .register({ topic: 'd', subscription: 's' }, (payload: number) => void rest.push(payload));
    await second.clock.settle();
    expect([...rest].sort((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('loses no send that was called before the app closed', async () => {
    const { app, publisher, broker, clock } = await start([]);
    const sends = Array.from({ length: 1_234 }, (_, n) => publisher.publish('z', n));
    const closing = app.close();
    await clock.advance(1_000);
    await closing;
    await Promise.all(sends);
    expect(broker.stats('persistent://public/default/z').messages).toBe(1_234);
    await expect(publisher.publish('z', 1)).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_CLOSED' });
    expect(clock.pendingTimers).toBe(0);
  });

  it('connects two apps over one broker and keeps their consumers apart', async () => {
    const time = clock();
    const broker = new InProcessBroker({ clock: time });
    const one = await start([], { producer: { batching: false } }, { broker, clock: time });
    const two = await start([], {}, { broker, clock: time });
    const seen: unknown[] = [];
    await two.app
      .get(PulsarConsumers)
      .register({ topic: 'x', subscription: 's' }, (payload) => void seen.push(payload));
    await one.publisher.publish('x', 'hello');
    await time.settle();
    expect(seen).toEqual(['hello']);
    expect(one.app.get(PulsarRegistry).list()).toHaveLength(0);
    expect(one.app.get(PulsarConnection).transport).not.toBe(two.app.get(PulsarConnection).transport);
  });

  it('makes a consumer anew that the transport gave up', async () => {
    const time = clock();
    const broker = new InProcessBroker({ clock: time });
    const { app, publisher } = await start([], { producer: { batching: false } }, { broker, clock: time });
    const seen: unknown[] = [];
    const handle = await app
      .get(PulsarConsumers)
      .register({ topic: 'x', subscription: 's' }, (payload) => void seen.push(payload));
    const topic = broker.topic('persistent://public/default/x');
    topic.deleteSubscription(topic.subscription('s', 'Shared', true, 'latest'));
    expect(handle.state.status).toBe('reconnecting');
    await time.advance(1_000);
    expect(handle.state.status).toBe('consuming');
    await publisher.publish('x', 1);
    await time.settle();
    expect(seen).toEqual([1]);
  });

  it('fails the start when a subscription cannot be made', async () => {
    const time = clock();
    const broker = new InProcessBroker({ clock: time });
    const transport = new FaultInjectingTransport(new InProcessTransport(broker));
    transport.plan = ({ point, topic }) => (point === 'subscribe' ? injectedFault(topic) : undefined);
    @Injectable()
    class Handler {
      @PulsarSubscribe({ topic: 'f', subscription: 's' })
      handle(): void {}
    }
    await expect(start([Handler], { transport }, { broker, clock: time })).rejects.toMatchObject({
      code: 'SMARTPULSE_PULSAR_INJECTED',
    });
  });

  it('hands a message without dead letter topic to onDeadLetter and gives it back when that fails', async () => {
    const { app, publisher, clock, broker } = await start([], { producer: { batching: false } });
    const given: string[] = [];
    let runs = 0;
    const handle = await app.get(PulsarConsumers).register(
      {
        topic: 'd',
        subscription: 's',
        maxAttempts: 2,
        deadLetter: false,
        onDeadLetter: async (message, error) => {
          given.push(`${message.key} ${error.message}`);
          if (given.length === 1) {
            throw new Error('not now');
          }
        },
      },
      () => {
        runs++;
        throw new Error('poison');
      },
    );
    await publisher.publish('d', 1, { key: 'k' });
    await clock.advance(60_000);
    expect(given).toEqual(['k poison', 'k poison']);
    expect(runs).toBe(2);
    expect(handle.stats()).toMatchObject({ nacked: 1, deadLettered: 1, acked: 1 });
    expect(broker.topics).toEqual(['persistent://public/default/d']);
  });

  it('leaves a handler to itself that ignores its signal, and says how many at the stop', async () => {
    const { app, publisher, clock, broker } = await start([], { producer: { batching: false } });
    await app
      .get(PulsarConsumers)
      .register({ topic: 'h', subscription: 's', timeoutMs: 0 }, () => new Promise<void>(() => undefined));
    await publisher.publish('h', 1);
    await clock.settle();
    const closing = app.close();
    await clock.advance(120_000);
    await closing;
    const { leftOver, clean } = app.get(ShutdownCoordinator).report;
    expect([leftOver, clean]).toEqual([1, false]);
    expect(broker.stats('persistent://public/default/h').backlog('s')).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('resolves whenSubscribed when decorated handlers have their subscriptions', async () => {
    @Injectable()
    class Handler {
      @PulsarSubscribe({ topic: 'w', subscription: 's', initialPosition: 'earliest' })
      handle(): void {}
    }
    const { app, broker } = await start([Handler]);
    await app.get(PulsarConsumers).whenSubscribed();
    expect(Object.keys(broker.stats('persistent://public/default/w').subscriptions)).toEqual(['s']);
  });
});

describe('PulsarModule configuration', () => {
  it.each([
    [{ url: 'http://broker' }, /option "url": found scheme http:\/\//],
    [{ url: 'nonsense' }, /option "url": found no scheme/],
    [{ url: 'memory://host' }, /option "url": memory:\/\/ takes no host/],
    [{ url: 'memory://', namespace: 'a/b/c' }, /option "namespace"/],
    [{ url: 'memory://', producer: { batchMaxDelayMs: -1 } }, /producer\.batchMaxDelayMs/],
    [{ url: 'memory://', unknown: 1 }, /unknown/i],
    [{ url: 'memory://', consumer: { backoff: { jitter: 'some' } } }, /consumer\.backoff\.jitter.*none, equal, full/],
    [{ url: 'pulsar://user:secret@host:6650' }, /option "namespace": is missing/],
  ])('refuses %o at start', async (options, message) => {
    const failed = start([], {
      transport: undefined,
      ownTransport: undefined,
      ...options,
    } as Partial<PulsarModuleOptions>);
    await expect(failed).rejects.toThrow(message);
    await expect(failed).rejects.toSatisfy((error) => ConfigurationError.is(error));
    await expect(failed).rejects.not.toThrow(/secret/);
  });

  it.each(['pulsar://127.0.0.1:1', 'pulsar+ssl://127.0.0.1:1'])(
    'fails at start where nobody listens at %s, and says how to mend it',
    async (url) => {
      const failed = start([], { url, namespace: 'a/b', transport: undefined, ownTransport: undefined });
      await expect(failed).rejects.toSatisfy(
        (error) => PulsarError.is(error) && error.code === 'SMARTPULSE_PULSAR_CONNECTION' && error.kind === 'transient',
      );
      await expect(failed).rejects.toThrow('Check that the broker runs');
    },
  );

  it.each([
    [{ url: 'memory://', transport: 'native' }, 'is native, which serves pulsar://'],
    [{ url: 'ws://host', transport: 'wire' }, 'is wire, which serves pulsar://'],
    [{ url: 'memory://', token: 'secret', transport: undefined }, 'memory://, which has no authentication'],
    [{ url: 'pulsar://host', tls: {}, transport: undefined }, 'expected pulsar+ssl:// or wss://'],
    [{ url: 'pulsar+ssl://host', tls: { ca: 'secret' }, transport: undefined }, 'expected PEM text'],
    [{ url: 'pulsar://host', transport: 'kafka' }, 'expected wire, native or a PulsarTransport'],
  ] as const)('refuses %o', async (options, message) => {
    const failed = start([], {
      namespace: 'a/b',
      ownTransport: undefined,
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the mistakes of those who do not use types
      ...(options as Partial<PulsarModuleOptions>),
    });
    await expect(failed).rejects.toThrow(message);
    await expect(failed).rejects.toSatisfy((error) => ConfigurationError.is(error));
    await expect(failed).rejects.not.toThrow(/secret/);
  });

  it('refuses a second forRoot in one app', async () => {
    const first = PulsarModule.forRoot({ url: 'memory://' });
    const second = PulsarModule.forRoot({ url: 'memory://' });
    @Module({ imports: [ResilienceModule.forRoot(), first, second] })
    class AppModule {}
    await expect(
      NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false }),
    ).rejects.toThrow(/more than once/);
  });

  it('names the handler whose options are wrong', async () => {
    @Injectable()
    class Mailer {
      @PulsarSubscribe({ topic: 'a b', subscription: 's/x', type: 'Exclusive', concurrency: 4 })
      mail(): void {}
    }
    const failed = start([Mailer]);
    await expect(failed).rejects.toThrow(/@PulsarSubscribe on Mailer\.mail.*topic.*subscription.*concurrency/s);
  });

  it('accepts options from a factory', async () => {
    @Module({
      imports: [
        ResilienceModule.forRoot(),
        PulsarModule.forRootAsync({ useFactory: () => ({ url: 'memory://', namespace: 'acme/grid' }) }),
      ],
    })
    class AppModule {}
    const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
    opened.push(app);
    expect(app.get(PulsarConnection).topicName('t')).toBe('persistent://acme/grid/t');
  });
});

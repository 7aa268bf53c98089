import { Inject, Injectable, Module } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { ResilienceModule } from '@smartpulse/resilience';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  Ctx,
  defineEvent,
  Payload,
  PulsarConsumers,
  type PulsarContext,
  PulsarModule,
  PulsarPublisher,
  PulsarRegistry,
  PulsarSubscribe,
} from '../../index.js';
import { PulsarHarness } from './pulsar-harness.js';
import { overridePulsar, PulsarTestingModule } from './pulsar-testing.module.js';
import { UnsettledError } from './stillness.js';

interface Order {
  readonly id: number;
  readonly customer: string;
}
const order = defineEvent({
  name: 'order',
  topic: 'orders',
  schema: z.object({ id: z.number(), customer: z.string() }),
  key: ({ customer }) => customer,
});
const invoice = defineEvent({ name: 'invoice', topic: 'invoices', schema: z.object({ order: z.number() }) });

@Injectable()
class Billing {
  fails: (attempt: number) => void = () => undefined;
  constructor(@Inject(PulsarPublisher) readonly publisher: PulsarPublisher) {}

  @PulsarSubscribe({ topic: order, subscription: 'billing', maxAttempts: 3, concurrency: 4 })
  async bill(@Payload() event: Order, @Ctx() context: PulsarContext): Promise<void> {
    this.fails(context.attempt);
    await this.publisher.publish(invoice, { order: event.id });
  }
}

/** As an app has it: a broker elsewhere, options of its own. */
@Module({
  imports: [
    ResilienceModule.forRoot(),
    PulsarModule.forRootAsync({
      useFactory: () => ({
        url: 'pulsar+ssl://pulsar.example.org:6651',
        namespace: 'shop/live',
        token: 'secret',
        producer: { compression: 'zstd' as const, batchMaxDelayMs: 1_000 },
        consumer: { initialPosition: 'earliest' as const },
      }),
    }),
  ],
  providers: [Billing],
})
class AppModule {}

describe('PulsarHarness', () => {
  it('shows with their types what was published, handled and given up', async () => {
    await using harness = await PulsarHarness.create({ providers: [Billing] });
    await harness.publish(order, { id: 7, customer: 'ann' });
    expect(await harness.settled()).toEqual({ waiting: 0, later: 0 });
    expect(harness.published(invoice).map(({ data }) => data.order)).toEqual([7]);
    const [message] = harness.handled('Billing.bill', order);
    expect([message?.data.customer, message?.key, message?.topic]).toEqual([
      'ann',
      'ann',
      'persistent://public/default/orders',
    ]);
    expect(harness.handled('orders/billing')).toHaveLength(1);
    expect(harness.deadLetters(order)).toEqual([]);
  });

  it('runs an app that imports PulsarModule itself, on its own options except for where the broker is', async () => {
    await using harness = await PulsarHarness.start(Test.createTestingModule({ imports: [AppModule] }));
    await harness.publish(order, { id: 8, customer: 'bob' });
    await harness.settled();
    expect(harness.published(invoice).map(({ topic, data }) => [topic, data])).toEqual([
      ['persistent://shop/live/invoices', { order: 8 }],
    ]);
    expect(harness.broker.topics).toContain('persistent://shop/live/orders');
  });

  it('is there too for an app that the testing module makes', async () => {
    const builder = overridePulsar(Test.createTestingModule({ imports: [AppModule] }));
    const module = await builder.compile();
    const app = module.createNestApplication({ logger: false });
    await app.init();
    await using harness = PulsarHarness.of(app);
    await harness.publish(order, { id: 9, customer: 'bob' });
    await harness.settled();
    expect(harness.handled('Billing.bill')).toHaveLength(1);
  });

  it('is refused for an app on another transport, with what to do', async () => {
    @Module({ imports: [ResilienceModule.forRoot(), PulsarModule.forRoot({ url: 'memory://' })] })
    class Plain {}
    const module = await Test.createTestingModule({ imports: [Plain] }).compile();
    expect(() => PulsarHarness.of(module)).toThrow(/in-process transport: import PulsarTestingModule/);
    await module.close();
  });

  it('waits in a timer that can be advanced while a message waits for its retry, and gives it up after maxAttempts', async () => {
    await using harness = await PulsarHarness.create({ providers: [Billing] });
    harness.app.get(Billing).fails = () => {
      throw new RangeError('no such customer');
    };
    await harness.publish(order, { id: 1, customer: 'ann' });
    expect(await harness.settled()).toEqual({ waiting: 1, later: 0 });
    expect(harness.deadLetters('Billing.bill')).toEqual([]);
    await harness.advance(60_000);
    expect(await harness.settled()).toEqual({ waiting: 0, later: 0 });
    const letters = harness.deadLetters(order);
    expect(letters.map(({ data, reason, error, attempts }) => [data.id, reason, error, attempts])).toEqual([
      [1, 'failed', { name: 'RangeError', message: 'no such customer' }, 3],
    ]);
    expect(harness.deadLetters('orders/billing')).toHaveLength(1);
    expect(harness.deadLetters('orders-billing-DLQ')).toHaveLength(1);
    expect(harness.handled('Billing.bill')).toEqual([]);
  });

  it('names a handler that does not end with its message, and settles once it has', async () => {
    await using harness = await PulsarHarness.create();
    let resolve: () => void = () => expect.fail('nobody waits');
    const promise = new Promise<void>((settle) => (resolve = settle));
    await harness.app.get(PulsarConsumers).register({ topic: 'slow', subscription: 's' }, function upload() {
      return promise;
    });
    await harness.publish('slow', 1, { key: 'k7' });
    await expect(harness.settled()).rejects.toThrow(UnsettledError);
    await expect(harness.settled()).rejects.toThrow(
      /^upload \(consumer slow\/s\): 1 handler run has not ended, of message \S+ \(key "k7"\)\./,
    );
    resolve();
    expect(await harness.settled()).toEqual({ waiting: 0, later: 0 });
  });

  it('waits in real time for handlers that need it, when told so', async () => {
    await using harness = await PulsarHarness.create();
    const { readFile } = await import('node:fs/promises');
    const sizes: number[] = [];
    await harness.app.get(PulsarConsumers).register({ topic: 'files', subscription: 's' }, async (count: number) => {
      for (let read = 0; read < count; read++) {
        sizes.push((await readFile('package.json')).length);
      }
    });
    await harness.publish('files', 300);
    await harness.settled({ realTimeMs: 10_000 });
    expect(sizes).toHaveLength(300);
  });

  it('names a consumer that is paused with messages before it', async () => {
    await using harness = await PulsarHarness.create({ providers: [Billing] });
    harness.app.get(PulsarRegistry).get('orders/billing')?.pause();
    await harness.settled();
    await harness.publish(order, { id: 1, customer: 'ann' });
    await expect(harness.settled()).rejects.toThrow(/it is paused and 1 message waits for it/);
    harness.app.get(PulsarRegistry).get('orders/billing')?.resume();
    await harness.settled();
    expect(harness.handled('Billing.bill')).toHaveLength(1);
  });

  it('counts what is with the broker for later', async () => {
    await using harness = await PulsarHarness.create({ providers: [Billing] });
    await harness.publish(order, { id: 1, customer: 'ann' }, { deliverAfterMs: 5_000 });
    expect(await harness.settled()).toEqual({ waiting: 0, later: 1 });
    await harness.advance(5_000);
    expect(await harness.settled()).toEqual({ waiting: 0, later: 0 });
    expect(harness.handled('Billing.bill')).toHaveLength(1);
  });

  it('fails the operations that a test plans, as often and where it says', async () => {
    await using harness = await PulsarHarness.create({ providers: [Billing] });
    harness.faults.failNext('send', { topic: invoice, times: 2, error: new Error('full') });
    await harness.publish(order, { id: 1, customer: 'ann' });
    expect(await harness.settled()).toEqual({ waiting: 1, later: 0 });
    await harness.advance(10_000);
    expect(harness.faults.left).toBe(0);
    expect(harness.published(invoice)).toHaveLength(1);
    harness.faults.delayNext('ack', 3_000);
    await harness.publish(order, { id: 2, customer: 'ann' });
    await harness.settled();
    expect(harness.handled('Billing.bill')).toHaveLength(1);
    await harness.advance(3_000);
    expect(harness.handled('Billing.bill')).toHaveLength(2);
  });

  it('fails the start of the app by plan', async () => {
    const started = PulsarHarness.create({ providers: [Billing], faults: (faults) => faults.failNext('subscribe') });
    await expect(started).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_INJECTED' });
  });

  it('lets virtual time go on while a publish waits for its batch', async () => {
    await using harness = await PulsarHarness.create({ providers: [Billing], batching: true });
    const { messageId } = await harness.elapse(harness.publish(order, { id: 1, customer: 'ann' }));
    expect(harness.published(order).map((one) => one.messageId)).toEqual([messageId]);
    expect(harness.clock.monotonic()).toBe(100);
  });

  it('loses its consumers and gets again what was not acknowledged', async () => {
    await using harness = await PulsarHarness.create({ providers: [Billing] });
    harness.faults.failNext('ack', { times: Infinity });
    await harness.publish(order, { id: 1, customer: 'ann' });
    await harness.settled();
    harness.faults.clear();
    await harness.dropConsumers();
    await harness.advance(5_000);
    expect(await harness.settled()).toEqual({ waiting: 0, later: 0 });
    expect(harness.published(invoice)).toHaveLength(2);
  });

  it('names the consumers that there are when asked for another', async () => {
    await using harness = await PulsarHarness.create({ providers: [Billing] });
    expect(() => harness.handled('Billing.bil')).toThrow(/no consumer Billing.bil.*orders\/billing \(Billing.bill\)/);
  });

  it('lets two apps meet on one broker', async () => {
    await using one = await PulsarHarness.create({ providers: [Billing] });
    await using two = await PulsarHarness.create({ broker: one.broker });
    await two.publish(order, { id: 1, customer: 'ann' });
    await one.settled();
    expect(one.handled('Billing.bill')).toHaveLength(1);
  });

  it('takes the place of both modules in a testing module', async () => {
    const module = await Test.createTestingModule({
      imports: [PulsarTestingModule.forRoot({ options: { namespace: 'a/b' } })],
      providers: [Billing],
    }).compile();
    await module.init();
    await using harness = PulsarHarness.of(module);
    await harness.publish(order, { id: 1, customer: 'ann' });
    await harness.settled();
    expect(harness.published('invoices')[0]?.topic).toBe('persistent://a/b/invoices');
  });
});

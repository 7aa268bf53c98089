import { Injectable, Logger, type Provider } from '@nestjs/common';
import { type FeedResync, type KeyChanges, OnChange, OnResync } from '@smartpulse/data-sync';
import { type IncomingMessage, Payload, PulsarError, PulsarSubscribe } from '@smartpulse/pulsar';
import { InProcessBroker, InProcessTransport } from '@smartpulse/pulsar/in-process';
import { injectedFault } from '@smartpulse/pulsar/testing';
import { enableGracefulShutdown, ShutdownCoordinator } from '@smartpulse/resilience';
import { SeededRandom } from '@smartpulse/resilience/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Acknowledgements, killAt, PUBLISH_STEPS } from '../support/promises/acknowledgements.js';
import { PromiseStage, STOCK, STOCK_TOPIC, stockChange, type StockRow } from '../support/promises/promise-stage.js';
import { ReaderHistory } from '../support/promises/reader-history.js';

const HISTORIES = 60;
const OWNER = { roles: ['publish', 'apply'] } as const;
const PUBLISHER = { roles: ['publish'] } as const;

beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(true));

describe('the promises', () => {
  let stage: PromiseStage;

  beforeEach(() => {
    stage = new PromiseStage();
  });
  afterEach(async () => {
    expect(await stage.close()).toBe(0);
  });

  describe('1. nothing acknowledged is lost', () => {
    it('saves no checkpoint beyond what the broker has acknowledged, whatever fails on the way', async () => {
      await stage.watch();
      const acknowledgements = new Acknowledgements(stage);
      const replica = await stage.start(OWNER);
      acknowledgements.watch(replica, new SeededRandom(7), 0.05);
      for (let commit = 0; commit < 200; commit++) {
        stage.commit(...ids(1 + stage.random.int(5)).map(() => stage.random.int(12)));
        await stage.clock.advance(stage.random.int(1_000));
      }
      replica.transport.plan = () => undefined;
      await stage.quiet(replica);

      expect(acknowledgements.ahead).toEqual([]);
      expect(acknowledgements.checked).toBeGreaterThan(50);
      expect(stage.missing()).toEqual([]);
    });

    it.each(PUBLISH_STEPS.flatMap((step) => [1, 2, 5].map((count) => ({ step, count }))))(
      'delivers every committed change when the process dies at $step the time number $count',
      async ({ step, count }) => {
        await stage.watch();
        const dying = await stage.start(PUBLISHER);
        killAt(stage, dying, step, count);
        for (let commit = 0; commit < 12; commit++) {
          stage.commit(commit % 5, (commit * 3) % 7);
          await stage.clock.advance(100);
        }
        await stage.start(PUBLISHER);
        await stage.clock.until(() => stage.missing().length === 0, 600_000);

        expect(stage.missing()).toEqual([]);
      },
    );

    it('acknowledges a message when its handler is done, and not before; one whose handler failed for good when its dead letter is stored', async () => {
      const steps: string[] = [];
      @Injectable()
      class Handler {
        @PulsarSubscribe({ topic: 'jobs', subscription: 'worker', initialPosition: 'earliest', maxAttempts: 2 })
        async handle(@Payload() { name }: { name: string }): Promise<void> {
          await stage.clock.sleep(50);
          steps.push(`handled ${name}`);
          if (name === 'poison') {
            throw new Error('It cannot be done.');
          }
        }
      }
      const { transport, publisher } = await stage.start({
        pulsar: { producer: { batching: false } },
        providers: [Handler],
      });
      transport.plan = ({ point, topic }) => {
        if (topic.includes('/jobs')) {
          steps.push(point);
        }
        return undefined;
      };
      await stage.drive(publisher.publish('jobs', { name: 'good' }));
      await stage.clock.advance(1_000);
      expect(steps.splice(0)).toEqual(['createProducer', 'send', 'afterSend', 'handled good', 'ack']);

      await stage.drive(publisher.publish('jobs', { name: 'poison' }));
      await stage.clock.advance(60_000);
      expect(steps.splice(0)).toEqual(
        'send,afterSend,handled poison,handled poison,subscribe,createProducer,send,afterSend,ack'.split(','),
      );
    });

    it('gives a message back whose dead letter cannot be stored, and loses neither', async () => {
      const { Handler, runs } = failing();
      const { transport, publisher } = await stage.start({
        pulsar: { producer: { batching: false } },
        providers: [Handler],
      });
      let refused = 3;
      transport.plan = ({ point, topic }) =>
        point === 'send' && topic.endsWith('-DLQ') && refused-- > 0 ? injectedFault(topic) : undefined;
      await stage.drive(publisher.publish('jobs', { name: 'poison' }));
      await stage.clock.advance(600_000);

      const letters = await readAll(stage.broker, 'persistent://public/default/jobs-worker-DLQ');
      expect(letters.map(({ payload }) => JSON.parse(String(Buffer.from(payload))) as unknown)).toEqual([
        { name: 'poison' },
      ]);
      expect(stage.broker.stats('persistent://public/default/jobs').backlog('worker')).toBe(0);
      expect(runs.count).toBe(2);
    });
  });

  describe('2. an older version never replaces a newer one', () => {
    it(`holds for every reader of two replicas in ${HISTORIES} random histories: late, repeated and reordered messages, lost answers, a backplane that is cut`, async () => {
      let reads = 0;
      let replays = 0;
      for (let seed = 1; seed <= HISTORIES; seed++) {
        const result = await new ReaderHistory(seed).run(120);
        expect({ seed, ...result }).toMatchObject({
          wentBack: [],
          stampLied: [],
          wrongAtRest: [],
          failedReads: [],
          timersLeft: 0,
        });
        reads += result.reads;
        replays += result.replays;
      }
      expect(reads).toBeGreaterThan(HISTORIES * 20);
      expect(replays).toBeGreaterThan(HISTORIES);
    });
  });

  describe('3. nothing is skipped silently', () => {
    it('keeps a letter of a change that cannot travel, and goes on with the others', async () => {
      await stage.watch();
      const replica = await stage.start(PUBLISHER);
      stage.commit(1, -1, 2);
      await stage.clock.until(() => stage.delivered.has(2), 60_000);

      const letters = await readAll(stage.broker, `${STOCK_TOPIC}-publish-DLQ`);
      expect(letters).toHaveLength(1);
      expect(JSON.parse(String(Buffer.from(letters[0]?.payload ?? [])))).toMatchObject({
        pk: { id: -1 },
        error: { message: expect.any(String) as string },
      });
      expect(replica.dataSync.stats().syncs[0]?.publish).toMatchObject({ poison: 1 });
      // A broker drops what nobody is subscribed to.
      expect(stage.broker.stats(`${STOCK_TOPIC}-publish-DLQ`).backlog('smartpulse-dead-letters')).toBe(1);
    });

    it('tells of changes that the log had forgotten by a resync, and every reader has the table afterwards', async () => {
      const heard: string[] = [];
      @Injectable()
      class Listener {
        @OnChange(stockChange, { subscription: 'listener' })
        changes(_changes: KeyChanges<StockRow>): void {
          heard.push('change');
        }
        @OnResync(stockChange, { subscription: 'listener' })
        resync({ state }: FeedResync): void {
          heard.push(state);
        }
      }
      await stage.watch();
      const replica = await stage.start({ ...OWNER, providers: [Listener] });
      stage.commit(1, 2);
      await stage.quiet(replica);
      await stage.drive(replica.app.close());
      stage.commit(1);
      stage.source.cleanUp(stage.commit(2), STOCK);
      heard.length = 0;

      await stage.quiet(await stage.start({ ...OWNER, providers: [Listener] }));
      await stage.clock.until(() => heard.length >= 2, 60_000);

      expect(heard.filter((what) => what !== 'change')).toEqual(['started', 'completed']);
      expect(stage.missing()).toEqual([]);
    });

    it('dead-letters what no handler can read, with the reason', async () => {
      const { Handler, runs } = failing();
      await stage.start({ providers: [Handler] });
      const transport = new InProcessTransport(stage.broker);
      await transport.connect();
      const producer = await transport.createProducer({
        topic: 'persistent://public/default/jobs',
        batching: { enabled: false, maxMessages: 1, maxBytes: 1, maxDelayMs: 0 },
        maxPendingMessages: 10,
        maxPendingBytes: 1_000,
        compression: 'none',
        sendTimeoutMs: 1_000,
      });
      await stage.drive(producer.send({ payload: Buffer.from('{"name":') }));
      await stage.clock.advance(1_000);

      const [letter] = await readAll(stage.broker, 'persistent://public/default/jobs-worker-DLQ');
      expect(letter?.properties).toMatchObject({ 'x-reason': 'invalid', 'x-original-subscription': 'worker' });
      expect(runs.count).toBe(0);
      await stage.drive(producer.close());
    });
  });

  describe('4. everything is bounded, and what is full says so', () => {
    it('refuses a publish by name when the sends that may wait are used up, and loses none of the accepted', async () => {
      const { publisher, transport } = await stage.start({
        pulsar: { producer: { batching: false, maxPendingMessages: 5, maxWaitingMessages: 10 } },
      });
      await stage.drive(publisher.publish('jobs', 0));
      const gate = gateway();
      transport.plan = ({ point }) => (point === 'send' ? gate.opened : undefined);
      const outcomes = ids(30).map((id) => settled(publisher.publish('jobs', id)));
      await stage.clock.advance(1_000);
      gate.open();
      const results = await stage.drive(Promise.all(outcomes));

      expect(results.filter((one) => one === 'stored')).toHaveLength(15);
      expect(results.filter((one) => one === 'SMARTPULSE_PULSAR_SENDS_FULL')).toHaveLength(15);
      expect(await readAll(stage.broker, 'persistent://public/default/jobs')).toHaveLength(16);
    });

    it('refuses a publish by name when the log is full, and keeps what is in it', async () => {
      const broker = new InProcessBroker({ clock: stage.clock, random: stage.random, retention: { maxMessages: 3 } });
      const transport = new InProcessTransport(broker);
      await transport.connect();
      const topic = 'persistent://public/default/small';
      const consumer = await transport.subscribe(
        { topic, subscription: 's', type: 'Shared', initialPosition: 'earliest', durable: true },
        { onMessage: () => undefined, onClosed: () => undefined },
      );
      const producer = await transport.createProducer({
        topic,
        batching: { enabled: false, maxMessages: 1, maxBytes: 1, maxDelayMs: 0 },
        maxPendingMessages: 10,
        maxPendingBytes: 1_000,
        compression: 'none',
        sendTimeoutMs: 1_000,
      });
      const sends = ids(5).map((id) => settled(producer.send({ payload: Buffer.from(String(id)) })));

      expect(await stage.drive(Promise.all(sends))).toEqual([
        'stored',
        'stored',
        'stored',
        ...ids(2).map(() => 'SMARTPULSE_PULSAR_BACKLOG_QUOTA'),
      ]);
      expect(broker.stats(topic).backlog('s')).toBe(3);
      await stage.drive(consumer.close());
      await stage.drive(transport.close());
      await broker.close();
    });

    it('takes no more messages than may be handled and waited for, however many there are', async () => {
      let most = 0;
      @Injectable()
      class Slow {
        #running = 0;
        @PulsarSubscribe({
          topic: 'jobs',
          subscription: 'worker',
          initialPosition: 'earliest',
          concurrency: 4,
          prefetch: 8,
        })
        async handle(): Promise<void> {
          most = Math.max(most, ++this.#running);
          await stage.clock.sleep(10);
          this.#running--;
        }
      }
      const { publisher } = await stage.start({ pulsar: { producer: { batching: false } }, providers: [Slow] });
      await stage.drive(Promise.all(ids(200).map((id) => publisher.publish('jobs', id))));
      const stats = stage.broker.stats('persistent://public/default/jobs').subscriptions['worker'];
      expect(stats?.unacked).toBeLessThanOrEqual(12);
      await stage.clock.until(
        () => stage.broker.stats('persistent://public/default/jobs').backlog('worker') === 0,
        60_000,
      );
      expect(most).toBe(4);
    });
  });

  describe('5. it stops cleanly: intake first, work next, clients last', () => {
    it('handles no message that comes after the stop began, finishes what runs, stores every send and reports what is left', async () => {
      const started: number[] = [];
      const done: number[] = [];
      @Injectable()
      class Busy {
        @PulsarSubscribe({ topic: 'jobs', subscription: 'worker', initialPosition: 'earliest', concurrency: 3 })
        async handle(@Payload() id: number): Promise<void> {
          started.push(id);
          await stage.clock.sleep(500);
          done.push(id);
        }
      }
      const { app, publisher } = await stage.start({ ...OWNER, providers: [Busy] });
      enableGracefulShutdown(app, { signals: false });
      await stage.drive(Promise.all(ids(3).map((id) => publisher.publish('jobs', id))));
      await stage.clock.until(() => started.length === 3, 5_000);
      const lastSends = ids(20).map((id) => settled(publisher.publish('audit', id)));
      const later = ids(20).map((id) => settled(publisher.publish('jobs', 100 + id)));
      const closing = app.close();
      const begun = started.length;
      await stage.drive(closing);

      expect(started).toHaveLength(begun);
      expect(done.toSorted((a, b) => a - b)).toEqual([0, 1, 2]);
      expect(await stage.drive(Promise.all([...lastSends, ...later]))).toEqual(ids(40).map(() => 'stored'));
      expect(await readAll(stage.broker, 'persistent://public/default/audit')).toHaveLength(20);
      expect(stage.broker.stats('persistent://public/default/jobs').backlog('worker')).toBe(20);
      expect(app.get(ShutdownCoordinator).report).toMatchObject({ clean: true, leftOver: 0 });
    });

    it('says so when a handler does not end in its time, and its message comes again at the next start', async () => {
      const stop = gateway();
      const handled: number[] = [];
      const stuck = handlerOf(() => stop.opened);
      const { app, publisher } = await stage.start({ providers: [stuck], pulsar: { consumer: { timeoutMs: 0 } } });
      enableGracefulShutdown(app, { signals: false });
      await stage.drive(publisher.publish('jobs', 7));
      await stage.clock.advance(500);
      await stage.drive(app.close());
      expect(app.get(ShutdownCoordinator).report).toMatchObject({ clean: false, leftOver: 1 });

      await stage.start({
        providers: [handlerOf((id) => void handled.push(id))],
      });
      await stage.clock.advance(1_000);
      expect(handled).toEqual([7]);
      stop.open();
    });
  });

  describe('6. it starts with nothing installed', () => {
    it('keeps the flow from commit to the reader of another replica on embedded parts alone', async () => {
      const owner = await stage.start(OWNER);
      const reader = await stage.start({ roles: ['apply'] });
      stage.commit(1, 2, 3);
      await stage.quiet(owner, reader);
      for (const { app, transport } of [owner, reader]) {
        expect(app.get(ShutdownCoordinator).report.steps).toEqual([]);
        expect(transport).toMatchObject({ durable: false, shared: false });
      }
      expect(owner.dataSync.stats().syncs[0]?.publish?.publishedChanges).toBeGreaterThanOrEqual(3);
    });
  });

  /** A handler of `jobs` that counts its runs and always fails. */
  function failing(): { readonly Handler: Provider; readonly runs: { count: number } } {
    const runs = { count: 0 };
    @Injectable()
    class Handler {
      @PulsarSubscribe({ topic: 'jobs', subscription: 'worker', initialPosition: 'earliest', maxAttempts: 2 })
      handle(): void {
        runs.count++;
        throw new Error('It cannot be done.');
      }
    }
    return { Handler, runs };
  }
});

/** A handler of numbers on `jobs`. */
function handlerOf(work: (id: number) => Promise<void> | void): Provider {
  @Injectable()
  class Handler {
    @PulsarSubscribe({ topic: 'jobs', subscription: 'worker', initialPosition: 'earliest' })
    handle(@Payload() id: number): Promise<void> | void {
      return work(id);
    }
  }
  return Handler;
}

/** Something to wait for until it is opened. */
function gateway(): { readonly opened: Promise<undefined>; readonly open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<undefined>((resolve) => {
    open = () => resolve(undefined);
  });
  return { opened, open };
}

const ids = (count: number): number[] => Array.from({ length: count }, (_, id) => id);

/** `stored`, or the code of the refusal. */
async function settled(send: Promise<unknown>): Promise<string> {
  try {
    await send;
    return 'stored';
  } catch (error) {
    return PulsarError.is(error) ? error.code : String(error);
  }
}

/** Everything on a topic, past the libraries. */
async function readAll(broker: InProcessBroker, topic: string): Promise<readonly IncomingMessage[]> {
  const transport = new InProcessTransport(broker);
  await transport.connect();
  const messages: IncomingMessage[] = [];
  const consumer = await transport.subscribe(
    { topic, subscription: 'reader', type: 'Exclusive', initialPosition: 'earliest', durable: false },
    { onMessage: (message) => messages.push(message), onClosed: () => undefined },
  );
  consumer.permit(1_000);
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  await consumer.close();
  await transport.close();
  return messages;
}

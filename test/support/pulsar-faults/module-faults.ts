import assert from 'node:assert/strict';
import {
  BatchItemsFailed,
  type ConsumerOptions,
  nack,
  type PulsarConsumerHandle,
  PulsarError,
} from '@smartpulse/pulsar';
import { injectedFault } from '@smartpulse/pulsar/testing';
import type { FaultWorld, FaultyApp } from './fault-world.js';
import { type Behaviour, Ledger, type Numbered } from './ledger.js';

/** One fault, and what must hold in spite of it. */
export interface FaultCase {
  readonly title: string;
  /** `broker`: a real one, which can be killed and has topics of several partitions. */
  readonly needs?: 'broker' | undefined;
  readonly run: (world: FaultWorld) => Promise<void>;
}

const MESSAGES = 60;

interface Scene {
  readonly ledger: Ledger;
  readonly topic: string;
  /** Handles; its connection is cut, its transport fails by plan. */
  readonly faulty: FaultyApp;
  /** Publishes and reads dead letters; nothing happens to it. */
  readonly calm: FaultyApp;
  readonly handle: PulsarConsumerHandle;
  readonly publish: (count?: number) => Promise<void>;
  /** Waits until every stored message is handled or given up, then checks the books. */
  readonly check: (expected: { readonly duplicates: number; readonly order: 'strict' | 'firsts' }) => Promise<void>;
}

async function scene(
  world: FaultWorld,
  behave: Behaviour,
  options: Partial<Omit<ConsumerOptions<Numbered>, 'topic'>> = {},
  partitions?: number,
): Promise<Scene> {
  const ledger = new Ledger();
  const topic = world.topic();
  if (partitions !== undefined) {
    await world.broker?.partition(topic, partitions);
  }
  const faulty = await world.start();
  const calm = await world.start({}, 'near');
  const handle = await faulty.consumers.register<Numbered>(
    { topic, subscription: 's', type: 'Key_Shared', concurrency: 4, ...options },
    ledger.handler(behave),
  );
  await calm.consumers.register<Numbered>(
    { topic: `${topic}-s-DLQ`, subscription: 'look' },
    ({ at }) => void ledger.letters.push(at),
  );
  return {
    ledger,
    topic,
    faulty,
    calm,
    handle,
    publish: (count = MESSAGES) => world.elapse(ledger.publish(calm.publisher, topic, count)),
    check: async (expected) => {
      await world.until(() => ledger.open.length === 0 && handle.stats().inFlight === 0, 'all is handled or given up');
      ledger.check(expected);
    },
  };
}

/** The first runs of every third message go wrong. */
function firstRuns(count: number, goWrong: (context: { readonly signal: AbortSignal }) => Promise<void>): Behaviour {
  return ({ at }, context) => (at % 3 === 0 && context.attempt <= count ? goWrong(context) : undefined);
}

const handlerCases: readonly FaultCase[] = [
  {
    title: 'a handler that throws',
    async run(world) {
      const { publish, check } = await scene(world, ({ at }, { attempt }) => {
        if (at % 3 === 0 && attempt <= 2) {
          throw new Error('not yet');
        }
      });
      await publish();
      await check({ duplicates: 0, order: 'strict' });
    },
  },
  {
    title: 'a handler that rejects after a while',
    async run(world) {
      const behave = firstRuns(2, async () => {
        await world.clock.sleep(5);
        throw new Error('not yet');
      });
      const { publish, check } = await scene(world, behave);
      await publish();
      await check({ duplicates: 0, order: 'strict' });
    },
  },
  {
    title: 'a handler that hangs until its signal aborts',
    async run(world) {
      const behave = firstRuns(
        1,
        ({ signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => reject(new Error('aborted')), { once: true });
          }),
      );
      const { publish, check } = await scene(world, behave, { timeoutMs: 50 });
      await publish();
      await check({ duplicates: 0, order: 'strict' });
    },
  },
  {
    title: 'a handler that never settles, whatever its signal says',
    async run(world) {
      const ledger = new Ledger();
      const topic = world.topic();
      const faulty = await world.start({ consumer: { abortGraceMs: 20 } });
      const options = { topic, subscription: 's', type: 'Key_Shared', concurrency: 4, timeoutMs: 30 } as const;
      const behave = firstRuns(1, () => new Promise(() => undefined));
      await faulty.consumers.register<Numbered>(options, ledger.handler(behave));
      await world.elapse(ledger.publish(faulty.publisher, topic, MESSAGES));
      await world.until(() => ledger.open.length === 0, 'all is handled');
      ledger.check({ duplicates: 0, order: 'strict' });
    },
  },
  {
    title: 'poison among messages that are well',
    async run(world) {
      const behave: Behaviour = ({ at }) => {
        if (at % 10 === 0) {
          throw new Error('poison');
        }
      };
      const { ledger, publish, check } = await scene(world, behave, { maxAttempts: 3 });
      await publish();
      await check({ duplicates: 0, order: 'strict' });
      assert.deepEqual(
        [...ledger.letters].sort((a, b) => a - b),
        [0, 10, 20, 30, 40, 50],
      );
      assert.ok(ledger.letters.every((at) => ledger.runsOf(at) === 3));
    },
  },
  {
    title: 'one slow consumer among fast ones: they are not slowed',
    async run(world) {
      const { faulty, topic, ledger, publish, check } = await scene(world, () => undefined);
      const slow = new Ledger();
      const held: (() => void)[] = [];
      const wait = () => new Promise<void>((resolve) => held.push(resolve));
      await faulty.consumers.register<Numbered>({ topic, subscription: 'slow' }, slow.handler(wait));
      await publish();
      await check({ duplicates: 0, order: 'strict' });
      await world.until(() => held.length === 1, 'the slow one has begun');
      assert.deepEqual([ledger.done.length, slow.starts.length], [MESSAGES, 1]);
      for (let at = 0; at < MESSAGES; at++) {
        await world.until(() => held.length === at + 1, 'the slow one goes on');
        held[at]?.();
      }
      await world.until(() => slow.done.length === MESSAGES, 'the slow one is done');
    },
  },
  {
    title: 'a hot key whose handler stands still: the others go on',
    async run(world) {
      const held: (() => void)[] = [];
      let released = false;
      const behave: Behaviour = ({ key }) =>
        key === 'k0' && !released ? new Promise((resolve) => held.push(resolve)) : undefined;
      // The hot key may fill all places but one of the window.
      const { ledger, publish, check } = await scene(world, behave, { concurrency: 2, prefetch: MESSAGES / 4 });
      await publish();
      await world.until(() => ledger.done.length === (MESSAGES / 4) * 3, 'all other keys are done');
      assert.equal(ledger.starts.filter(({ key }) => key === 'k0').length, 1);
      released = true;
      held.forEach((release) => release());
      await check({ duplicates: 0, order: 'strict' });
    },
  },
  {
    title: 'two apps in one process: each keeps its own policy, and goes on when the other stops',
    async run(world) {
      const [one, two] = [await world.start(), await world.start({ consumer: { maxAttempts: 4 } })];
      const [first, second, topic] = [new Ledger(), new Ledger(), world.topic()];
      const poison = (): never => {
        throw new Error('poison');
      };
      const of = (subscription: string) => ({ topic, subscription, backoff: { initialMs: 5 } });
      await one.consumers.register<Numbered>({ ...of('one'), maxAttempts: 2 }, first.handler(poison));
      const theirs = await two.consumers.register<Numbered>(of('two'), second.handler(poison));
      await world.elapse(first.publish(two.publisher, topic, 3));
      await world.until(() => first.starts.length === 6 && second.starts.length === 12, 'both have given up');
      await world.elapse(one.app.close());
      await world.elapse(first.publish(two.publisher, topic, 1));
      await world.until(() => theirs.stats().deadLettered === 4, 'the other goes on');
      assert.deepEqual([first.starts.length, second.starts.length], [6, 16]);
    },
  },
];

const settlementCases: readonly FaultCase[] = [
  {
    title: 'dead letters that are refused',
    async run(world) {
      const behave: Behaviour = ({ at }) => {
        if (at % 10 === 0) {
          throw new Error('poison');
        }
      };
      const { faulty, ledger, publish, check } = await scene(world, behave, { maxAttempts: 2 });
      let left = 9;
      faulty.transport.plan = ({ point, topic }) =>
        point === 'send' && topic.endsWith('-DLQ') && left-- > 0 ? injectedFault(topic) : undefined;
      await publish();
      await check({ duplicates: 0, order: 'firsts' });
      assert.equal(ledger.letters.length, 6);
      assert.ok(ledger.letters.every((at) => ledger.runsOf(at) === 2));
    },
  },
  {
    title: 'dead letters whose answer is lost when they are stored',
    async run(world) {
      const behave: Behaviour = ({ at }) => {
        if (at % 10 === 0) {
          throw new Error('poison');
        }
      };
      const { faulty, publish, check } = await scene(world, behave, { maxAttempts: 2 });
      let left = 3;
      faulty.transport.plan = ({ point, topic }) =>
        point === 'afterSend' && left-- > 0 ? injectedFault(topic, { ambiguous: true }) : undefined;
      await publish();
      await check({ duplicates: 3, order: 'firsts' });
    },
  },
  {
    title: 'acknowledgements that are refused for a while',
    async run(world) {
      const { faulty, handle, publish, check } = await scene(world, () => undefined);
      faulty.transport.plan = ({ point, topic, count }) =>
        point === 'ack' && count % 3 === 0 ? injectedFault(topic) : undefined;
      await publish();
      await check({ duplicates: 0, order: 'strict' });
      const { acked, unsettled } = handle.stats();
      assert.deepEqual({ acked, unsettled }, { acked: MESSAGES, unsettled: 0 });
      await faulty.transport.dropConsumers();
      await world.pass(500);
      await check({ duplicates: 0, order: 'strict' });
    },
  },
  {
    title: 'acknowledgements that are refused for good: handled, and again only after a reconnection',
    async run(world) {
      const { faulty, ledger, publish, check } = await scene(world, () => undefined);
      let left = 5;
      faulty.transport.plan = ({ point, topic }) =>
        point === 'ack' && left-- > 0
          ? new PulsarError('SMARTPULSE_PULSAR_BROKER', 'refused', { kind: 'permanent', remedy: 'none', topic })
          : undefined;
      await publish();
      await check({ duplicates: 0, order: 'strict' });
      await faulty.transport.dropConsumers();
      await world.until(() => ledger.duplicates === 5, 'the five came again');
      await check({ duplicates: 5, order: 'firsts' });
    },
  },
  {
    title: 'messages given back by their handler, which gives the order up and nothing else',
    async run(world) {
      const { faulty, calm } = { faulty: await world.start(), calm: await world.start({}, 'near') };
      const [ledger, topic] = [new Ledger(), world.topic()];
      await faulty.consumers.register<Numbered>({ topic, subscription: 's', concurrency: 4 }, ({ at }, { attempt }) => {
        if (at % 3 === 0 && attempt === 1) {
          return nack(30);
        }
        return void ledger.done.push(at);
      });
      await world.elapse(ledger.publish(calm.publisher, topic, MESSAGES));
      await world.until(() => ledger.open.length === 0, 'all is handled');
      assert.equal(ledger.duplicates, 0);
    },
  },
];

const retryAndBatchCases: readonly FaultCase[] = [
  {
    title: 'retries that are refused on their way to the retry topic',
    async run(world) {
      const behave: Behaviour = ({ at }) => {
        if (at % 3 === 0 && ledgerOf().runsOf(at) <= 2) {
          throw new Error('not yet');
        }
      };
      const staged = await scene(world, behave, { retry: { mode: 'retry-topic', keyOrder: 'given-up' } });
      const ledgerOf = () => staged.ledger;
      let left = 9;
      staged.faulty.transport.plan = ({ point, topic }) =>
        point === 'send' && topic.endsWith('-RETRY') && left-- > 0 ? injectedFault(topic) : undefined;
      await staged.publish();
      await staged.check({ duplicates: 0, order: 'firsts' });
      assert.ok(left <= 0);
      assert.deepEqual(staged.ledger.letters, []);
      assert.ok([...staged.ledger.stored].every((at) => staged.ledger.runsOf(at) === (at % 3 === 0 ? 3 : 1)));
    },
  },
  {
    title: 'poison in batches: the others of its batch are handled once',
    async run(world) {
      const [ledger, topic] = [new Ledger(), world.topic()];
      const { consumers, publisher } = await world.start();
      await consumers.register<Numbered>(
        { topic, subscription: 's', type: 'Key_Shared', maxAttempts: 3, batch: { maxMessages: 10, maxWaitMs: 20 } },
        (payloads) => {
          ledger.starts.push(...payloads);
          const failed = payloads.flatMap(({ at }, index) => (at % 10 === 0 ? [index] : []));
          ledger.done.push(...payloads.filter(({ at }) => at % 10 !== 0).map(({ at }) => at));
          if (failed.length > 0) {
            throw new BatchItemsFailed(failed.map((index) => ({ index, error: new Error('poison') })));
          }
        },
      );
      await consumers.register<Numbered>(
        { topic: `${topic}-s-DLQ`, subscription: 'look' },
        ({ at }) => void ledger.letters.push(at),
      );
      await world.elapse(ledger.publish(publisher, topic, MESSAGES));
      await world.until(() => ledger.open.length === 0, 'all is handled or given up');
      ledger.check({ duplicates: 0, order: 'firsts' });
      assert.deepEqual([ledger.letters.length, ledger.letters.map((at) => ledger.runsOf(at))], [6, Array(6).fill(3)]);
    },
  },
];

const connectionCases: readonly FaultCase[] = [
  {
    title: 'a connection that is cut while handlers run',
    async run(world) {
      // Nothing is held back, so that no more is out at a cut than the window.
      const { ledger, publish, check } = await scene(world, () => world.clock.sleep(5), { maxHeldBack: 0 });
      await publish();
      for (let cut = 1; cut <= 3; cut++) {
        await world.until(() => ledger.done.length >= cut * 10, 'some are handled');
        await world.cut();
      }
      // What was out at a cut may come again: four that ran and as many received ahead.
      await check({ duplicates: 3 * 8, order: 'firsts' });
    },
  },
  {
    title: 'connections that are cut again and again, on a topic of four partitions',
    needs: 'broker',
    async run(world) {
      const { ledger, publish, check } = await scene(world, () => world.clock.sleep(5), { maxHeldBack: 0 }, 4);
      for (let cut = 1; cut <= 4; cut++) {
        await publish();
        await world.until(() => ledger.done.length >= cut * 30, 'some are handled');
        await world.cut();
      }
      await check({ duplicates: 4 * 8, order: 'firsts' });
    },
  },
  {
    title: 'subscriptions that are refused while the connection comes back',
    async run(world) {
      const { faulty, ledger, publish, check } = await scene(world, () => world.clock.sleep(5), { maxHeldBack: 0 });
      let left = 3;
      faulty.transport.plan = ({ point, topic }) =>
        point === 'subscribe' && left-- > 0 ? injectedFault(topic) : undefined;
      await publish();
      await world.until(() => ledger.done.length >= 10, 'some are handled');
      await faulty.transport.dropConsumers();
      // The four that ran; what was received ahead is left to the next consumer.
      // On a broker a closing takes a round trip, in which what was received ahead begins as well, and its acknowledgements are refused: the window of eight.
      await check({ duplicates: faulty.transport.shared ? 8 : 4, order: 'firsts' });
      assert.ok(left <= 0);
    },
  },
  {
    title: 'a broker that is killed while handlers run, and comes back',
    needs: 'broker',
    async run(world) {
      const { ledger, publish, check } = await scene(world, () => world.clock.sleep(20));
      await publish();
      await world.until(() => ledger.done.length >= 10, 'some are handled');
      await world.broker?.kill();
      await world.pass(200);
      await world.broker?.restart();
      // A broker that is killed has forgotten the acknowledgements that it had not written down.
      await check({ duplicates: MESSAGES, order: 'firsts' });
    },
  },
  {
    title: 'a drain whose time is used up: what runs is given up, another app handles it',
    async run(world) {
      const { faulty, topic, ledger, publish } = await scene(world, () => new Promise(() => undefined));
      await publish(20);
      await world.until(() => ledger.starts.length === 4, 'handlers run');
      await world.elapse(faulty.app.close());
      assert.deepEqual([ledger.starts.length, ledger.done.length], [4, 0]);
      const heir = await world.start();
      await heir.consumers.register<Numbered>(
        { topic, subscription: 's', type: 'Key_Shared', concurrency: 4 },
        ledger.handler(() => undefined),
      );
      await world.until(() => ledger.open.length === 0, 'the other app has handled all');
      ledger.check({ duplicates: 0, order: 'firsts' });
    },
  },
];

/** The fault matrix of the module: each of these on every transport. */
export const moduleFaults: readonly FaultCase[] = [
  ...handlerCases,
  ...settlementCases,
  ...retryAndBatchCases,
  ...connectionCases,
];

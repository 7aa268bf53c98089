import { ConfigurationError } from '@smartpulse/resilience';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { injectedFault } from '../testing/fault-injecting.transport.js';
import { startApp, type TestApp } from '../testing/test-app.js';
import { DEAD_LETTER_SUBSCRIPTION } from './letter-keeper.js';
import { PulsarDeadLetters } from './pulsar.dead-letters.js';

const TOPIC = 'persistent://public/default/jobs';
const DLQ = `${TOPIC}-worker-DLQ`;

interface Job {
  readonly id: number;
}

describe('PulsarDeadLetters', () => {
  let test: TestApp;
  let letters: PulsarDeadLetters;
  let broken: boolean;
  let handled: number[];

  beforeEach(async () => {
    test = await startApp();
    letters = test.app.get(PulsarDeadLetters);
    broken = true;
    handled = [];
    await test.consumers.register<Job>(
      { topic: 'jobs', subscription: 'worker', initialPosition: 'earliest', maxAttempts: 1 },
      ({ id }) => {
        if (broken) {
          throw new RangeError(`Job ${id} cannot be done.`);
        }
        handled.push(id);
      },
    );
  });
  afterEach(async () => {
    await test.close();
    expect(test.clock.pendingTimers).toBe(0);
  });

  /** Time goes on until the work has ended. */
  async function drive<T>(work: Promise<T>): Promise<T> {
    const end = new AbortController();
    const onEnd = (): void => end.abort();
    work.then(onEnd, onEnd);
    await test.clock.until(() => end.signal.aborted, 60_000);
    return work;
  }

  async function bury(count: number): Promise<void> {
    for (let id = 1; id <= count; id++) {
      await test.publisher.publish<Job>('jobs', { id }, { key: `k${id % 3}`, properties: { own: 'x' } });
    }
    await test.clock.advance(10_000);
  }

  it('names the dead letter topics of this app’s consumers', () => {
    expect(letters.topics()).toEqual([{ topic: DLQ, consumers: ['jobs/worker'] }]);
  });

  it('has a subscription on the topic before the first letter: what nobody is subscribed to, a broker may drop', async () => {
    const steps: string[] = [];
    let refusals = 2;
    test.transport.plan = ({ point, topic }) => {
      if (topic === DLQ || (topic === TOPIC && point === 'ack')) {
        steps.push(point);
      }
      return topic === DLQ && point === 'subscribe' && refusals-- > 0 ? injectedFault(topic) : undefined;
    };
    await bury(2);
    await test.clock.advance(60_000);
    expect(test.broker.stats(DLQ).backlog(DEAD_LETTER_SUBSCRIPTION)).toBe(2);
    expect(steps.lastIndexOf('subscribe')).toBeLessThan(steps.indexOf('send'));
    expect(steps.indexOf('ack')).toBeGreaterThan(steps.indexOf('afterSend'));
  });

  it('leaves the keeping to the topic’s retention where it is told to, and refuses a subscription that is no name', async () => {
    const register = (initialSubscription: string | false) =>
      test.consumers.register<Job>(
        {
          topic: 'other',
          subscription: 's',
          initialPosition: 'earliest',
          maxAttempts: 1,
          deadLetter: { initialSubscription },
        },
        () => {
          throw new Error('Never.');
        },
      );
    await expect(register('a b')).rejects.toThrow(/initialSubscription/);
    await register(false);
    await test.publisher.publish<Job>('other', { id: 1 });
    await test.clock.advance(1_000);
    const stats = test.broker.stats('persistent://public/default/other-s-DLQ');
    expect([stats.messages, Object.keys(stats.subscriptions)]).toEqual([1, []]);
  });

  it('counts and shows letters with what their headers tell, and leaves them as they are', async () => {
    await bury(3);
    expect(await drive(letters.count('jobs/worker'))).toBe(3);
    const [first, ...others] = await drive(letters.peek('jobs-worker-DLQ', { limit: 2 }));
    expect(others).toHaveLength(1);
    expect(first).toMatchObject({
      key: 'k1',
      originalTopic: TOPIC,
      subscription: 'worker',
      reason: 'failed',
      attempts: 1,
      exceptionType: 'RangeError',
      exceptionMessage: 'Job 1 cannot be done.',
    });
    expect(first?.decode<Job>()).toEqual({ id: 1 });
    expect(await drive(letters.count('jobs/worker'))).toBe(3);
  });

  it('replays what the filter wants up to the limit, without the headers of the death, and keeps the rest', async () => {
    await bury(6);
    broken = false;
    const progress: number[] = [];
    const result = await drive(
      letters.replay('jobs/worker', {
        filter: (letter) => letter.decode<Job>().id % 2 === 0,
        limit: 5,
        onProgress: ({ done, left }) => progress.push(done + left),
      }),
    );
    await test.clock.advance(1_000);

    expect(result).toEqual({ done: 2, left: 3 });
    expect(progress).toEqual([1, 2, 3, 4, 5]);
    expect(handled).toEqual([2, 4]);
    expect((await drive(letters.peek('jobs/worker'))).map((letter) => letter.decode<Job>().id)).toEqual([1, 3, 5, 6]);
  });

  it('publishes the message as it was, with a word of where it comes from', async () => {
    await bury(1);
    broken = false;
    const seen: Readonly<Record<string, string>>[] = [];
    await test.consumers.register(
      { topic: 'elsewhere', subscription: 's', initialPosition: 'earliest' },
      (_, context) => {
        seen.push({ ...context.properties, key: context.key ?? '' });
      },
    );
    expect(await drive(letters.replay('jobs/worker', { to: 'elsewhere' }))).toEqual({ done: 1, left: 0 });
    await test.clock.advance(1_000);
    expect(seen).toEqual([
      {
        own: 'x',
        key: 'k1',
        'x-replayed-from': expect.stringContaining(DLQ) as string,
        'x-replay-run': expect.any(String) as string,
      },
    ]);
    expect(handled).toEqual([]);
  });

  it('keeps a letter whose message cannot be stored, and says so; the next replay goes on', async () => {
    await bury(4);
    broken = false;
    let sends = 0;
    test.transport.plan = ({ point, topic }) =>
      point === 'send' && topic === TOPIC && ++sends === 3 ? injectedFault(topic) : undefined;
    await expect(drive(letters.replay('jobs/worker'))).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_INJECTED' });
    await test.clock.advance(1_000);
    expect(handled).toEqual([1, 2]);
    expect(await drive(letters.replay('jobs/worker'))).toEqual({ done: 2, left: 0 });
    await test.clock.advance(1_000);
    expect(handled.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4]);
  });

  it('loses nothing when a letter cannot be acknowledged: its message comes twice', async () => {
    await bury(3);
    broken = false;
    let acks = 0;
    test.transport.plan = ({ point, topic }) =>
      point === 'ack' && topic === DLQ && ++acks === 2 ? injectedFault(topic) : undefined;
    await expect(drive(letters.replay('jobs/worker'))).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_INJECTED' });
    await drive(letters.replay('jobs/worker'));
    await test.clock.advance(1_000);
    expect(new Set(handled)).toEqual(new Set([1, 2, 3]));
    expect(handled.filter((id) => id === 2)).toHaveLength(2);
  });

  it('fails when its consumer is lost, and gives the letters back', async () => {
    await bury(3);
    const replaying = letters.replay('jobs/worker', { idleMs: 60_000, filter: () => false });
    replaying.catch(() => 0);
    await test.clock.settle();
    await test.transport.dropConsumers();
    await expect(drive(replaying)).rejects.toMatchObject({ kind: 'recreate' });
    await test.clock.advance(60_000);
    expect(await drive(letters.count('jobs/worker'))).toBe(3);
  });

  it('ends when its signal is aborted, and says what was done', async () => {
    await bury(5);
    broken = false;
    const abort = new AbortController();
    const result = await drive(
      letters.replay('jobs/worker', {
        signal: abort.signal,
        onProgress: ({ done }) => (done === 2 ? abort.abort() : undefined),
      }),
    );
    expect(result).toEqual({ done: 2, left: 0 });
    expect(await drive(letters.count('jobs/worker'))).toBe(3);
  });

  it('ends behind the letter at hand when the app stops, loses nothing, and refuses what is asked for later', async () => {
    await bury(5);
    broken = false;
    test.transport.plan = ({ point, topic }) =>
      point === 'send' && topic === TOPIC ? test.clock.sleep(10_000).then(() => undefined) : undefined;
    let closing: Promise<void> | undefined;
    const replay = letters.replay('jobs/worker', {
      onProgress: ({ done }) => {
        closing ??= done === 1 ? test.app.close() : undefined;
      },
    });
    const { done } = await drive(replay);
    await test.clock.advance(120_000);
    await closing;
    expect(done).toBe(2);
    expect(test.broker.stats(DLQ).backlog(DEAD_LETTER_SUBSCRIPTION)).toBe(5 - done);
    expect(handled.length + test.broker.stats(TOPIC).backlog('worker')).toBe(done);
    await expect(letters.count('jobs/worker')).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_CLOSED' });
  });

  it('takes no letter twice in one replay, though its message dies again', async () => {
    await bury(3);
    expect(await drive(letters.replay('jobs/worker', { idleMs: 30_000 }))).toEqual({ done: 3, left: 3 });
    broken = false;
    expect(await drive(letters.replay('jobs/worker'))).toEqual({ done: 3, left: 0 });
    await test.clock.advance(1_000);
    expect(handled.toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
  });

  it('purges for good what the filter wants, and nothing else', async () => {
    await bury(4);
    expect(await drive(letters.purge('jobs/worker', { filter: ({ key }) => key === 'k1' }))).toEqual({
      done: 2,
      left: 2,
    });
    expect(await drive(letters.count('jobs/worker'))).toBe(2);
    expect(test.broker.stats(DLQ).backlog(DEAD_LETTER_SUBSCRIPTION)).toBe(2);
  });

  it('leaves a letter that does not say where it came from', async () => {
    await test.publisher.publish('jobs-worker-DLQ', { id: 1 });
    expect(await drive(letters.replay('jobs-worker-DLQ'))).toEqual({ done: 0, left: 1 });
    expect(await drive(letters.replay('jobs-worker-DLQ', { to: 'elsewhere' }))).toEqual({ done: 1, left: 0 });
  });

  it('lets one replay of a topic at a time, and refuses what is no source or limit', async () => {
    await bury(2);
    const first = letters.replay('jobs/worker', { filter: () => false });
    await expect(letters.replay('jobs/worker')).rejects.toMatchObject({ code: 'SMARTPULSE_PULSAR_CONSUMER_BUSY' });
    await drive(first);
    await expect(letters.count('a topic')).rejects.toThrow(ConfigurationError);
    await expect(letters.count('jobs', { limit: 0 })).rejects.toThrow(/limit/);
    await test.consumers.register({ topic: 'jobs', subscription: 'none', deadLetter: false }, () => {});
    await expect(letters.count('jobs/none')).rejects.toThrow(/no dead letter topic/);
  });
});

import assert from 'node:assert/strict';
import type { ContractCase } from '@smartpulse/resilience/testing';
import type { ChannelListener, ChannelTransport } from '../channel/channel.transport.js';

/** Two ends of a fresh transport. */
export interface ChannelTransportSubject {
  readonly publisher: ChannelTransport;
  /** May be the same object. */
  readonly subscriber: ChannelTransport;
  /** Resolves when everything published has arrived. */
  drained(): Promise<void>;
  /** Loses what is published to `channel` meanwhile, and lets subscribers recover; left out where that cannot be brought about. */
  loseAndRecover?: ((channel: string) => Promise<void>) | undefined;
  close(): Promise<void>;
}

/** One for each case, all of one slot: on a cluster, what one case published may come to another node when the next one has begun. */
const channelOf = (index: number): string => `{test:contract:!msg}:${index}`;

class Recorder implements ChannelListener {
  readonly heard: string[] = [];

  onText(text: string): void {
    this.heard.push(text);
  }

  onLost(): void {
    this.heard.push('(lost)');
  }

  onStanding(): void {
    this.heard.push('(standing)');
  }

  get texts(): readonly string[] {
    return this.heard.filter((text) => !text.startsWith('('));
  }
}

/**
 * What every {@link ChannelTransport} guarantees, as data.
 *
 * @param create makes a fresh transport for each case.
 */
export function channelTransportContract(
  create: () => ChannelTransportSubject | Promise<ChannelTransportSubject>,
  capabilities: { readonly losesMessages: boolean },
): readonly ContractCase[] {
  let cases = 0;
  const check = (
    title: string,
    body: (subject: ChannelTransportSubject, channel: string) => Promise<void>,
    skip?: string,
  ): ContractCase => {
    const channel = channelOf(cases++);
    return {
      title,
      ...(skip === undefined ? {} : { skip }),
      run: async () => {
        const subject = await create();
        try {
          await body(subject, channel);
        } finally {
          await subject.close();
        }
      },
    };
  };
  return [
    check('says that a subscription stands before it resolves', async ({ subscriber }, channel) => {
      const recorder = new Recorder();
      await subscriber.subscribe(channel, recorder);
      assert.deepEqual(recorder.heard, ['(standing)']);
    }),
    check('delivers every text once to every subscriber in the order of publication', async (subject, channel) => {
      const recorders = [new Recorder(), new Recorder()];
      await Promise.all(recorders.map((recorder) => subject.subscriber.subscribe(channel, recorder)));
      const texts = Array.from({ length: 200 }, (_, index) => `text ${index}`);
      await Promise.all(texts.map((text) => subject.publisher.publish(channel, text)));
      await subject.drained();
      recorders.forEach(({ heard }) => assert.deepEqual(heard, ['(standing)', ...texts]));
    }),
    check('carries any text: empty, long, with line breaks, quotes, braces and emoji', async (subject, channel) => {
      const recorder = new Recorder();
      await subject.subscriber.subscribe(channel, recorder);
      const texts = ['', ' ', 'a\r\nb\u0000c', '{"a":"\\"}', '\u{1F32C}\u{FE0F} %s *', 'x'.repeat(100_000)];
      for (const text of texts) {
        await subject.publisher.publish(channel, text);
      }
      await subject.drained();
      assert.deepEqual(recorder.texts, texts);
    }),
    check('keeps channels apart, and keeps nothing for who subscribes later', async (subject, channel) => {
      const [early, late] = [new Recorder(), new Recorder()];
      await subject.subscriber.subscribe(channel, early);
      await subject.publisher.publish(channel, 'early');
      await subject.publisher.publish('test:other:!msg', 'elsewhere');
      await subject.drained();
      await subject.subscriber.subscribe(channel, late);
      await subject.publisher.publish(channel, 'late');
      await subject.drained();
      assert.deepEqual(early.texts, ['early', 'late']);
      assert.deepEqual(late.texts, ['late']);
    }),
    check(
      'delivers nothing to a closed subscription, and goes on delivering to the others',
      async (subject, channel) => {
        const [ended, kept] = [new Recorder(), new Recorder()];
        const subscription = await subject.subscriber.subscribe(channel, ended);
        await subject.subscriber.subscribe(channel, kept);
        await subscription.close();
        await subscription.close();
        await subject.publisher.publish(channel, 'after');
        await subject.drained();
        assert.deepEqual(ended.texts, []);
        assert.deepEqual(kept.texts, ['after']);
      },
    ),
    check('stands again after everybody had left the channel', async (subject, channel) => {
      await (await subject.subscriber.subscribe(channel, new Recorder())).close();
      const recorder = new Recorder();
      await subject.subscriber.subscribe(channel, recorder);
      await subject.publisher.publish(channel, 'again');
      await subject.drained();
      assert.deepEqual(recorder.heard, ['(standing)', 'again']);
    }),
    check('does not let one listener that throws keep the others from hearing', async (subject, channel) => {
      const recorder = new Recorder();
      await subject.subscriber.subscribe(channel, {
        onText: () => {
          throw new Error('A listener fails.');
        },
        onLost: () => {},
        onStanding: () => {},
      });
      await subject.subscriber.subscribe(channel, recorder);
      await subject.publisher.publish(channel, 'heard');
      await subject.drained();
      assert.deepEqual(recorder.texts, ['heard']);
    }),
    check(
      'says that it was lost, then that it stands, before it delivers what comes after a loss',
      async (subject, channel) => {
        const recorder = new Recorder();
        await subject.subscriber.subscribe(channel, recorder);
        await subject.loseAndRecover?.(channel);
        await subject.publisher.publish(channel, 'after');
        await subject.drained();
        const lost = recorder.heard.indexOf('(lost)');
        const standing = recorder.heard.lastIndexOf('(standing)');
        assert.ok(lost > 0 && standing > lost, recorder.heard.join(', '));
        assert.equal(recorder.heard.at(-1), 'after');
      },
      capabilities.losesMessages ? undefined : 'it cannot be made to lose messages',
    ),
  ];
}

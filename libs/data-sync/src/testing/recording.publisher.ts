import type { PublishOptions, PublishOutcome, PulsarError } from '@smartpulse/pulsar';
import { decodeEnvelope } from '../envelope/envelope.codec.js';
import type { ChangeEnvelope } from '../envelope/change-envelope.js';

/** A message as it was handed to the publisher. */
export interface RecordedMessage {
  readonly topic: string;
  readonly key: string | undefined;
  readonly properties: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
  readonly idempotencyKey: string | undefined;
}

/** Stands where a `PulsarPublisher` would: keeps what is published, refuses what a test says. */
export class RecordingPublisher {
  readonly messages: RecordedMessage[] = [];
  /** Topics in the order in which they were flushed. */
  readonly flushed: string[] = [];
  /** Topics of letters that were given a subscription, once for each letter or page of them. */
  readonly kept: string[] = [];
  /** Called per message; an error refuses it. */
  refuse: ((message: RecordedMessage) => PulsarError | undefined) | undefined;

  /** Keeps the items, in order. */
  async publishMany<T>(
    topic: string | { readonly topic: string },
    items: readonly { readonly data: T; readonly options?: PublishOptions<T> }[],
  ): Promise<readonly PublishOutcome[]> {
    const name = typeof topic === 'string' ? topic : topic.topic;
    await Promise.resolve();
    return items.map(({ data, options }): PublishOutcome => {
      const payload =
        options?.codec === undefined ? new TextEncoder().encode(JSON.stringify(data)) : options.codec.encode(data);
      const { key, properties = {}, idempotencyKey } = options ?? {};
      const message = { topic: name, key, properties, payload, idempotencyKey };
      const error = this.refuse?.(message);
      if (error !== undefined) {
        return { status: 'rejected', error };
      }
      this.messages.push(message);
      return { status: 'fulfilled', value: { topic: name, messageId: String(this.messages.length) } };
    });
  }

  /** Notes for which topics a subscription was asked. */
  async keepLetters(topic: string): Promise<void> {
    this.kept.push(topic);
  }

  /** Keeps that it was called. */
  async flush(topic?: string | { readonly topic: string }): Promise<void> {
    this.flushed.push(typeof topic === 'string' ? topic : (topic?.topic ?? '*'));
    await Promise.resolve();
  }

  /** The envelopes on a topic, read back. */
  envelopes(topic: string): readonly ChangeEnvelope[] {
    return this.messages.filter((message) => message.topic === topic).map(({ payload }) => decodeEnvelope(payload));
  }
}

import { z } from 'zod';
import type { PulsarConnection } from '../../connection/pulsar.connection.js';
import type { SubscriptionType } from '../../transport/pulsar.transport.js';
import { resolveTopicName } from '../../transport/topic-name.js';

/** Retries wait in the lane of their key, which holds the key's later messages back: the order of each key is kept. */
export interface LaneRetry {
  readonly mode: 'lane';
}

/**
 * Retries wait in the broker, on a topic of their own: they hold nothing back and their count outlives the process. The order of keys is given up, which is to
 * be said.
 */
export interface TopicRetry {
  readonly mode: 'retry-topic';
  readonly keyOrder: 'given-up';
  /** Short or full name. Default `<topic>-<subscription>-RETRY`, as Pulsar's own clients have it. */
  readonly topic?: string | undefined;
}

/** Where a message waits for its next handler run. */
export type RetryOptions = LaneRetry | TopicRetry;

export const retrySchema = z.discriminatedUnion(
  'mode',
  [
    z.strictObject({ mode: z.literal('lane') }),
    z.strictObject({
      mode: z.literal('retry-topic'),
      keyOrder: z.literal('given-up', {
        error: 'expected given-up: a retry topic lets the later messages of a key overtake the failed one',
      }),
      topic: z.string({ error: 'expected a text' }).optional(),
    }),
  ],
  { error: "expected { mode: 'lane' } or { mode: 'retry-topic', keyOrder: 'given-up', topic? }" },
);

/** A consumer's retry topic, and what is wrong with it. */
export interface ResolvedRetryTopic {
  /** `undefined`: retries wait in the lane. */
  readonly topic: string | undefined;
  readonly problem: string | undefined;
}

/** @param deadLetterTopic where given up messages go. */
export function retryTopicOf(
  retry: RetryOptions | undefined,
  consumer: { readonly topic: string; readonly subscription: string; readonly type: SubscriptionType },
  deadLetterTopic: string | undefined,
  { namespace, transport }: PulsarConnection,
): ResolvedRetryTopic {
  if (retry?.mode !== 'retry-topic') {
    return { topic: undefined, problem: undefined };
  }
  const name = resolveTopicName(retry.topic ?? `${consumer.topic}-${consumer.subscription}-RETRY`, namespace);
  const problem =
    name.problem ??
    (name.topic === consumer.topic || name.topic === deadLetterTopic
      ? 'is the topic itself or the dead letters’, expected one of its own'
      : undefined) ??
    (consumer.type === 'Exclusive' || consumer.type === 'Failover'
      ? `would break the order that type ${consumer.type} is chosen for; expected type Shared or Key_Shared, or mode lane`
      : undefined) ??
    (transport.capabilities.delayedDelivery
      ? undefined
      : `needs delayed delivery, which the ${transport.name} transport does not offer; expected mode lane`);
  return { topic: problem === undefined ? name.topic : undefined, problem };
}

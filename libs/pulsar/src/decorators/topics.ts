import { ConfigurationError } from '@smartpulse/resilience';
import type { BatchConsumerOptions } from '../consumer/batch/batch-options.js';
import type { ConsumerOptions } from '../consumer/consumer-options.js';
import { type EventContract, topicOf } from '../event/define-event.js';

/** A topic, or several that one handler serves. */
export type OneOrMoreTopics<T> = string | EventContract<T> | readonly (string | EventContract<T>)[];

/** Options that name one topic or several. */
export type WithTopics<TOptions, T> = Omit<TOptions, 'topic'> & {
  /** A topic, or several: each has a subscription, a concurrency and an entry in the registry of its own (`<id>:<topic>` where `id` is given). */
  readonly topic: OneOrMoreTopics<T>;
};

/**
 * One registration for each topic.
 *
 * @param owner names the handler in the error.
 * @throws ConfigurationError when there is no topic, or one twice.
 */
export function perTopic<T>(
  owner: string,
  options: WithTopics<ConsumerOptions<T>, T> | WithTopics<BatchConsumerOptions<T>, T>,
): readonly (ConsumerOptions<T> | BatchConsumerOptions<T>)[] {
  const { topic } = options;
  if (!isSeveral(topic)) {
    return [withTopic(options, topic, options.id)];
  }
  const names = topic.map((one) => topicOf(one));
  if (names.length === 0 || new Set(names).size < names.length) {
    throw new ConfigurationError(owner, [
      { option: 'topic', problem: names.length === 0 ? 'is an empty list' : 'names a topic twice' },
    ]);
  }
  return topic.map((one) => {
    const name = topicOf(one);
    const id = options.id === undefined ? undefined : `${options.id}:${name.slice(name.lastIndexOf('/') + 1)}`;
    return withTopic(options, one, id);
  });
}

function withTopic<T>(
  options: WithTopics<ConsumerOptions<T>, T> | WithTopics<BatchConsumerOptions<T>, T>,
  topic: string | EventContract<T>,
  id: string | undefined,
): ConsumerOptions<T> | BatchConsumerOptions<T> {
  return { ...options, topic, id };
}

function isSeveral<T>(topic: OneOrMoreTopics<T>): topic is readonly (string | EventContract<T>)[] {
  return Array.isArray(topic);
}

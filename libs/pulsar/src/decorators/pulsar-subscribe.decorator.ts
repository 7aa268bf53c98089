import 'reflect-metadata';
import type { BatchConsumerOptions } from '../consumer/batch/batch-options.js';
import type { ConsumerOptions } from '../consumer/consumer-options.js';
import type { PatternConsumerOptions } from '../consumer/pattern/pattern-options.js';
import { bindDefaultParameters } from './handler-parameters.js';
import type { WithTopics } from './topics.js';

/**
 * What `@PulsarSubscribe` takes: {@link ConsumerOptions}, or with `batch` {@link BatchConsumerOptions}, where `topic` may be several or `topicsPattern` stands in its place; the
 * payload's type is that of the contract or of `@Payload()`.
 */
export type PulsarSubscribeOptions<T = unknown> =
  WithTopics<ConsumerOptions<T>, T> | WithTopics<BatchConsumerOptions<T>, T> | PatternConsumerOptions<T>;

/** Metadata key of the subscriptions of a method. */
export const PULSAR_SUBSCRIBE_METADATA = Symbol('PULSAR_SUBSCRIBE');

/**
 * Makes a method of a provider or controller the handler of a subscription. It runs with the guards, pipes, interceptors and filters of
 * the method and its class, request-scoped providers included; those of the whole app stay out unless `applyGlobalEnhancers` is set.
 * May be repeated on one method. Without parameter decorators the method gets `(payload, context)`.
 *
 * A method that returns has handled its message; one that throws gets it again, up to `maxAttempts` runs.
 *
 * With `batch`, `@Payload()` is an array of payloads, `@Ctx()` the {@link PulsarBatchContext}, and what takes a field or a property is the array of
 * those; pipes of the method get the whole array.
 *
 * @throws ConfigurationError at start when an option is wrong; it names the handler.
 * @example
 * ```ts
 * @PulsarSubscribe({ topic: forecastComputed, subscription: 'mailer', type: 'Key_Shared', concurrency: 8 })
 * async mail(@Payload() event: ForecastComputed, @Ctx() context: PulsarContext): Promise<void> {
 *   await this.mailer.send(event, context.signal);
 * }
 * ```
 */
export function PulsarSubscribe<T>(options: PulsarSubscribeOptions<T>): MethodDecorator {
  return (target, propertyKey, descriptor) => {
    const method: unknown = descriptor.value;
    if (typeof method !== 'function') {
      throw new TypeError(`@PulsarSubscribe belongs on a method, ${String(propertyKey)} is none.`);
    }
    const subscriptions = subscriptionsOf(method);
    // Decorators run from the bottom up; the list reads from the top down.
    Reflect.defineMetadata(PULSAR_SUBSCRIBE_METADATA, [options, ...subscriptions], method);
    bindDefaultParameters(target, propertyKey);
  };
}

/** The subscriptions that a method was decorated with. */
export function subscriptionsOf(method: object): readonly PulsarSubscribeOptions[] {
  return (
    (Reflect.getMetadata(PULSAR_SUBSCRIBE_METADATA, method) as readonly PulsarSubscribeOptions[] | undefined) ?? []
  );
}

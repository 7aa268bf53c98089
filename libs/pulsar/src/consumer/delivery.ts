import type { ConfigurationIssue } from '@smartpulse/resilience';
import type { RetryOptions } from './retry/retry-options.js';
import type { InitialPosition, PulsarTransport } from '../transport/pulsar.transport.js';

/** Who gets a message: one of the app's instances, or each of them. */
export type DeliveryMode = 'work-sharing' | 'every-replica';

/** What {@link resolveDelivery} looks at. */
export interface DeliveryOptions {
  readonly delivery?: DeliveryMode | undefined;
  readonly subscription: string;
  readonly durable?: boolean | undefined;
  readonly initialPosition?: InitialPosition | undefined;
  readonly retry?: RetryOptions | undefined;
}

/** The subscription that a delivery mode comes down to. */
export interface ResolvedDelivery {
  readonly subscription: string;
  readonly durable: boolean;
  readonly initialPosition: InitialPosition;
  /** Nobody else has it: it goes with its consumer. */
  readonly deleteOnClose: boolean;
}

/**
 * `work-sharing`: one subscription for all instances of the app. `every-replica`: one for each, named after it, that ends with it; where the
 * transport has no subscriptions that end by themselves, a durable one that is deleted.
 */
export function resolveDelivery(
  options: DeliveryOptions,
  defaults: { readonly initialPosition: InitialPosition; readonly instanceId: string },
  { capabilities }: PulsarTransport,
): ResolvedDelivery {
  if (options.delivery !== 'every-replica') {
    return {
      subscription: options.subscription,
      durable: options.durable ?? true,
      initialPosition: options.initialPosition ?? defaults.initialPosition,
      deleteOnClose: false,
    };
  }
  const durable = !capabilities.nonDurable;
  return {
    subscription: `${options.subscription}-${defaults.instanceId}`,
    durable,
    initialPosition: options.initialPosition ?? 'latest',
    deleteOnClose: durable,
  };
}

/** What is wrong with a delivery mode beside the other options. */
export function deliveryIssue({ delivery, durable, retry }: DeliveryOptions): ConfigurationIssue | undefined {
  if (delivery === 'every-replica' && retry?.mode === 'retry-topic') {
    const problem =
      'retry-topic is not possible with delivery every-replica: each instance would get the retries of all; expected lane';
    return { option: 'retry.mode', problem };
  }
  return delivery === 'every-replica' && durable === true
    ? {
        option: 'durable',
        problem: 'true is not possible with delivery every-replica, whose subscriptions end with it',
      }
    : undefined;
}

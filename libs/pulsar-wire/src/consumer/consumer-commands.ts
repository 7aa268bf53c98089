import type { CommandInput } from '../protocol/command/commands.js';
import { schemaData } from '../client/declared-schema.js';
import { INITIAL_POSITION, SUBSCRIPTION_TYPE } from '../protocol/command/enumerations.js';
import { MessageId } from '../protocol/message-id/message-id.js';
import type { ConsumerOptions } from './consumer.options.js';

/** A place as the codec takes it. */
export interface Place {
  readonly ledgerId: bigint;
  readonly entryId: bigint;
  readonly partition: number;
  readonly batchIndex?: number | undefined;
}

const NO_BITS = new Int32Array(0);

/** What the protocol makes of a place. */
export function idData({ ledgerId, entryId, partition, batchIndex = -1 }: Place) {
  return {
    ledgerId,
    entryId,
    partition: partition < 0 ? undefined : partition,
    batchIndex: batchIndex < 0 ? undefined : batchIndex,
    ackSet: NO_BITS,
  };
}

/** What changes from one SUBSCRIBE of a consumer to the next. */
export interface Subscribing {
  readonly topic: string;
  readonly consumerId: number;
  readonly requestId: number;
  /** Where a subscription that is not durable goes on: behind this message. */
  readonly startAfter: MessageId | undefined;
  readonly consumerEpoch: number | undefined;
}

/** The command SUBSCRIBE. */
export function subscribeCommand(options: ConsumerOptions, now: Subscribing): CommandInput<'subscribe'> {
  const { initialPosition = 'latest', durable = true } = options;
  const end = initialPosition === 'earliest' ? MessageId.earliest : MessageId.latest;
  return {
    topic: now.topic,
    subscription: options.subscription,
    subscriptionType: SUBSCRIPTION_TYPE[options.type ?? 'Exclusive'],
    consumerId: now.consumerId,
    requestId: now.requestId,
    consumerName: options.consumerName,
    durable,
    startMessageId: durable ? undefined : idData(now.startAfter ?? end),
    metadata: options.properties,
    schema: options.schema && schemaData(options.schema),
    initialPosition: INITIAL_POSITION[initialPosition],
    consumerEpoch: now.consumerEpoch,
  };
}

import type { Connection } from '../connection/connection.js';
import type { CommandFields, CommandInput } from '../protocol/command/commands.js';
import { schemaData } from '../client/declared-schema.js';
import { INITIAL_POSITION, SUBSCRIPTION_TYPE } from '../protocol/command/enumerations.js';
import type { AckPosition } from '../protocol/frame/hot-commands.js';
import { MessageId } from '../protocol/message-id/message-id.js';
import type { ConsumerOptions } from './consumer.options.js';
import type { HandedOutId } from './handed-out-id.js';
import type { TopicEnd } from './topic-end.js';
import type { SeekTarget, SubscribedPlace } from './cursor-place.js';

/** A place as the codec takes it. */
export interface Place {
  readonly ledgerId: bigint;
  readonly entryId: bigint;
  readonly partition: number;
  readonly batchIndex?: number | undefined;
}

type MessageIdFields = CommandFields<'getLastMessageIdResponse'>['lastMessageId'];

/** The version of the protocol in which ACK is answered where it is asked for. */
const ACK_RECEIPTS_SINCE = 17;
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

/** A place in a partition as the codec gave it, which may leave that out. */
function idOf({ ledgerId, entryId, batchIndex, batchSize }: MessageIdFields, partition: number): MessageId {
  return new MessageId(ledgerId, entryId, partition, batchIndex, batchSize);
}

/** Where a subscription without a durable cursor begins, if that is told. */
export function startOf({ startMessageId, startPublishTimeMs }: ConsumerOptions): SeekTarget | undefined {
  return startPublishTimeMs === undefined ? startMessageId : { publishTimeMs: startPublishTimeMs };
}

/** What changes from one SUBSCRIBE of a consumer to the next. */
export interface Subscribing {
  readonly topic: string;
  readonly consumerId: number;
  readonly requestId: number;
  /** Where a subscription that is not durable goes on. */
  readonly place: SubscribedPlace;
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
    startMessageId: durable ? undefined : idData(now.place.after ?? end),
    startMessageRollbackDurationSec: now.place.rollbackSeconds,
    metadata: options.properties,
    schema: options.schema && schemaData(options.schema),
    initialPosition: INITIAL_POSITION[initialPosition],
    consumerEpoch: now.consumerEpoch,
  };
}

/** The command SEEK. */
export function seekCommand(consumerId: number, requestId: number, target: SeekTarget): CommandInput<'seek'> {
  return target instanceof MessageId
    ? { consumerId, requestId, messageId: idData(target) }
    : { consumerId, requestId, messagePublishTime: target.publishTimeMs };
}

/** Sends the command ACK; resolves with its receipt, where the broker gives one. */
export function sendAck(
  connection: Connection,
  consumerId: number,
  ackType: number,
  positions: readonly AckPosition[],
): Promise<unknown> {
  const messageIds = positions.map(({ ledgerId, entryId, ackSet, batchSize }) => ({
    ledgerId,
    entryId,
    ackSet: ackSet ?? NO_BITS,
    batchSize,
  }));
  if (connection.protocolVersion < ACK_RECEIPTS_SINCE) {
    connection.send('ack', { consumerId, ackType, messageIds });
    return Promise.resolve();
  }
  return connection.request('ack', (requestId) => ({ consumerId, ackType, messageIds, requestId }), 'ackResponse');
}

/** What stands for a message and everything before it; of a batch that is not wholly acknowledged only where `batchIndexAck` says so. */
export function positionThrough({ ledgerId, entryId, batch }: HandedOutId, batchIndexAck: boolean): AckPosition {
  if (batch === undefined || batch.remaining === 0) {
    return { ledgerId, entryId };
  }
  return batchIndexAck
    ? { ledgerId, entryId, ackSet: batch.ackSetHalves(), batchSize: batch.size }
    : { ledgerId, entryId: entryId - 1n };
}

/** Asks where a consumer's topic ends. */
export async function endOf(connection: Connection, consumerId: number, partition: number): Promise<TopicEnd> {
  const { lastMessageId, consumerMarkDeletePosition: passed } = await connection.request(
    'getLastMessageId',
    (requestId) => ({ consumerId, requestId }),
    'getLastMessageIdResponse',
  );
  return { last: idOf(lastMessageId, partition), passed: passed && idOf(passed, partition) };
}

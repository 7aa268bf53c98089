import type { InputOf, MessageOf, MessageTable } from '../table/message-table.js';
import * as connection from './connection.tables.js';
import * as consumer from './consumer.tables.js';
import * as producer from './producer.tables.js';
import * as topic from './topic.tables.js';
import * as transaction from './transaction.tables.js';

interface CommandDefinition<T extends MessageTable> {
  /** `BaseCommand.type`, and the field that the command stands in. */
  readonly type: number;
  readonly table: T;
}

function command<T extends MessageTable>(type: number, table: T): CommandDefinition<T> {
  return Object.freeze({ type, table });
}

/** Every command of the protocol, by our name for it. */
export const COMMANDS = Object.freeze({
  connect: command(2, connection.CONNECT),
  connected: command(3, connection.CONNECTED),
  subscribe: command(4, consumer.SUBSCRIBE),
  producer: command(5, producer.PRODUCER),
  send: command(6, producer.SEND),
  sendReceipt: command(7, producer.SEND_RECEIPT),
  sendError: command(8, producer.SEND_ERROR),
  message: command(9, consumer.MESSAGE),
  ack: command(10, consumer.ACK),
  flow: command(11, consumer.FLOW),
  unsubscribe: command(12, consumer.UNSUBSCRIBE),
  success: command(13, producer.SUCCESS),
  error: command(14, connection.ERROR),
  closeProducer: command(15, producer.CLOSE_PRODUCER),
  closeConsumer: command(16, consumer.CLOSE_CONSUMER),
  producerSuccess: command(17, producer.PRODUCER_SUCCESS),
  ping: command(18, connection.PING),
  pong: command(19, connection.PONG),
  redeliverUnacknowledgedMessages: command(20, consumer.REDELIVER),
  partitionedMetadata: command(21, topic.PARTITIONED_METADATA),
  partitionedMetadataResponse: command(22, topic.PARTITIONED_METADATA_RESPONSE),
  lookup: command(23, topic.LOOKUP),
  lookupResponse: command(24, topic.LOOKUP_RESPONSE),
  consumerStats: command(25, consumer.CONSUMER_STATS),
  consumerStatsResponse: command(26, consumer.CONSUMER_STATS_RESPONSE),
  reachedEndOfTopic: command(27, consumer.REACHED_END_OF_TOPIC),
  seek: command(28, consumer.SEEK),
  getLastMessageId: command(29, consumer.GET_LAST_MESSAGE_ID),
  getLastMessageIdResponse: command(30, consumer.GET_LAST_MESSAGE_ID_RESPONSE),
  activeConsumerChange: command(31, consumer.ACTIVE_CONSUMER_CHANGE),
  getTopicsOfNamespace: command(32, topic.GET_TOPICS),
  getTopicsOfNamespaceResponse: command(33, topic.GET_TOPICS_RESPONSE),
  getSchema: command(34, topic.GET_SCHEMA),
  getSchemaResponse: command(35, topic.GET_SCHEMA_RESPONSE),
  authChallenge: command(36, connection.AUTH_CHALLENGE),
  authResponse: command(37, connection.AUTH_RESPONSE),
  ackResponse: command(38, consumer.ACK_RESPONSE),
  getOrCreateSchema: command(39, topic.GET_OR_CREATE_SCHEMA),
  getOrCreateSchemaResponse: command(40, topic.GET_OR_CREATE_SCHEMA_RESPONSE),
  newTxn: command(50, transaction.NEW_TXN),
  newTxnResponse: command(51, transaction.NEW_TXN_RESPONSE),
  addPartitionToTxn: command(52, transaction.ADD_PARTITION_TO_TXN),
  addPartitionToTxnResponse: command(53, transaction.ADD_PARTITION_TO_TXN_RESPONSE),
  addSubscriptionToTxn: command(54, transaction.ADD_SUBSCRIPTION_TO_TXN),
  addSubscriptionToTxnResponse: command(55, transaction.ADD_SUBSCRIPTION_TO_TXN_RESPONSE),
  endTxn: command(56, transaction.END_TXN),
  endTxnResponse: command(57, transaction.END_TXN_RESPONSE),
  endTxnOnPartition: command(58, transaction.END_TXN_ON_PARTITION),
  endTxnOnPartitionResponse: command(59, transaction.END_TXN_ON_PARTITION_RESPONSE),
  endTxnOnSubscription: command(60, transaction.END_TXN_ON_SUBSCRIPTION),
  endTxnOnSubscriptionResponse: command(61, transaction.END_TXN_ON_SUBSCRIPTION_RESPONSE),
  tcClientConnect: command(62, transaction.TC_CLIENT_CONNECT),
  tcClientConnectResponse: command(63, transaction.TC_CLIENT_CONNECT_RESPONSE),
  watchTopicList: command(64, topic.WATCH_TOPIC_LIST),
  watchTopicListSuccess: command(65, topic.WATCH_TOPIC_LIST_SUCCESS),
  watchTopicUpdate: command(66, topic.WATCH_TOPIC_UPDATE),
  watchTopicListClose: command(67, topic.WATCH_TOPIC_LIST_CLOSE),
  topicMigrated: command(68, topic.TOPIC_MIGRATED),
});

/** The name of a command, `connect` to `topicMigrated`. */
export type CommandName = keyof typeof COMMANDS;

/** The fields of a command as decoded: absent ones are undefined, lists are empty. */
export type CommandFields<N extends CommandName> = MessageOf<(typeof COMMANDS)[N]['table']>;

/** The fields of a command to be encoded: what is undefined is not written, lists may be left out. */
export type CommandInput<N extends CommandName> = InputOf<(typeof COMMANDS)[N]['table']>;

/** A command that was read; `name` says which. */
export type Command = { [N in CommandName]: { readonly name: N; readonly fields: CommandFields<N> } }[CommandName];

/** A command of a newer protocol version: to be ignored. */
export interface UnknownCommand {
  readonly name: 'unknown';
  readonly type: number;
}

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(COMMANDS).map(([name, { type }]) => [type, name]));

/** The name of the command with this type number, if we know it. */
export function commandNameOf(type: number): CommandName | undefined {
  const name = NAMES.get(type);
  return isCommandName(name) ? name : undefined;
}

function isCommandName(name: string | undefined): name is CommandName {
  return name !== undefined && Object.hasOwn(COMMANDS, name);
}

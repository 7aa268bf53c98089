export {
  CorruptEntryError,
  DecompressionError,
  type EntryDefect,
  FrameTooLargeError,
  InvalidMessageIdError,
  InvalidServiceUrlError,
  InvalidTopicNameError,
  MalformedFrameError,
  MessageTooLargeError,
  UnencodableValueError,
  WireError,
  type WireErrorDetails,
  type WireErrorKind,
} from './pulsar-wire.errors.js';
export { BatchAckSet, isPending } from './protocol/batch/batch-ack-set.js';
export { BatchedMessage, BatchReader } from './protocol/batch/batch-reader.js';
export { type BatchHeader, type BatchMessage, BatchWriter } from './protocol/batch/batch-writer.js';
export { ByteWriter, type TakeMemory } from './protocol/bytes/byte-writer.js';
export { crc32c } from './protocol/checksum/crc32c.js';
export {
  type CommandRange,
  decodeCommand,
  decodeCommandAt,
  encodeCommand,
  findCommand,
  writeCommand,
} from './protocol/command/command-codec.js';
export {
  type Command,
  type CommandFields,
  type CommandInput,
  type CommandName,
  COMMANDS,
  type UnknownCommand,
} from './protocol/command/commands.js';
export {
  ACCESS_MODE,
  ACK_TYPE,
  INITIAL_POSITION,
  KEY_SHARED_MODE,
  LOOKUP_TYPE,
  SUBSCRIPTION_TYPE,
  TOPIC_MODE,
  TXN_ACTION,
} from './protocol/command/enumerations.js';
export { COMPRESSION, type CompressionName, decompress } from './protocol/compression/compression.js';
export { Compressor } from './protocol/compression/compressor.js';
export { decodeEntry, type Entry, payloadOf } from './protocol/entry/entry.js';
export {
  DEFAULT_MAX_MESSAGE_BYTES,
  FRAME_HEADROOM_BYTES,
  FrameReader,
  type FrameSink,
} from './protocol/frame/frame-reader.js';
export {
  type AckFrame,
  type AckPosition,
  decodeMessageHeader,
  decodeSendReceipt,
  type MessageHeader,
  type SendReceipt,
  writeAck,
  writeFlow,
  writePing,
  writePong,
} from './protocol/frame/hot-commands.js';
export { SendFrameEncoder, type SendHeader } from './protocol/frame/send-frame.js';
export { MessageId } from './protocol/message-id/message-id.js';
export type { MessageMetadataInput } from './protocol/metadata/metadata-codec.js';
export type {
  BrokerEntryMetadata,
  MessageMetadata,
  SingleMessageMetadata,
} from './protocol/metadata/metadata.tables.js';
export { javaStringHash, type KeyHashName, murmur3Hash, partitionOf } from './protocol/routing/key-hash.js';
export { SERVER_ERRORS, type ServerError, serverError } from './protocol/server-error.js';
export { parseServiceUrl, type ServiceAddress, type ServiceUrl } from './protocol/topic/service-url.js';
export {
  baseTopic,
  parseTopicName,
  partitionTopic,
  type TopicDomain,
  type TopicName,
} from './protocol/topic/topic-name.js';
export { PulsarClient } from './client/pulsar-client.js';
export { CLIENT_DEFAULTS, type ClientEvent, type PulsarClientOptions } from './client/client.options.js';
export {
  ConnectionError,
  InvalidWireOptionError,
  RequestTimeoutError,
  SeekIncompleteError,
  SendTimeoutError,
  TokenSupplierError,
  UnexpectedWireError,
  UnsupportedOperationError,
  WaitAbortedError,
  WireClosedError,
} from './client/client.errors.js';
export type { DeclaredSchema } from './client/declared-schema.js';
export type { Clock, Random, Timer } from './client/time.js';
export { BrokerRefusedError } from './connection/broker-error.js';
export type { BackoffOptions } from './connection/backoff.js';
export { type Dial, dialSocket, type Intake, type TlsOptions } from './connection/dial.js';
export type { BrokerAddress } from './connection/service-url.js';
export type { TokenSource } from './connection/token.js';
export type {
  ConsumerListener,
  ConsumerOptions,
  NackBackoff,
  WireConsumer,
  WireSubscriptionType,
} from './consumer/consumer.options.js';
export type { BatchEntry } from './consumer/batch-entry.js';
export type { SeekTarget } from './consumer/cursor-place.js';
export { HandedOutId } from './consumer/handed-out-id.js';
export { PrefetchBudget } from './consumer/prefetch-budget.js';
export { ReceivedMessage } from './consumer/received-message.js';
export { type FlushGeneration, FlushGenerations } from './producer/flush-generations.js';
export {
  type BatchingOptions,
  type KeyedBatching,
  type ProducerOptions,
  type SendListener,
  WIRE_PRODUCER_DEFAULTS,
  type WireAccessMode,
  type WireMessage,
  type WireProducer,
} from './producer/producer.options.js';
export { type ReaderOptions, WIRE_READER_DEFAULTS, type WireReader } from './reader/reader.options.js';

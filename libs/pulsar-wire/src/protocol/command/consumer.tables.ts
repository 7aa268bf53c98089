import { many, message, opt, req } from '../table/message-table.js';
import { INT_RANGE, KEY_LONG, MESSAGE_ID, SCHEMA } from './shared.tables.js';

const KEY_SHARED_META = message('KeySharedMeta', {
  mode: req.u32(1),
  hashRanges: many.message(3, INT_RANGE),
  allowOutOfOrderDelivery: opt.bool(4),
});

export const SUBSCRIBE = message('CommandSubscribe', {
  topic: req.string(1),
  subscription: req.string(2),
  subscriptionType: req.u32(3),
  consumerId: req.i53(4),
  requestId: req.i53(5),
  consumerName: opt.string(6),
  priorityLevel: opt.i32(7),
  durable: opt.bool(8),
  startMessageId: opt.message(9, MESSAGE_ID),
  metadata: many.properties(10),
  readCompacted: opt.bool(11),
  schema: opt.message(12, SCHEMA),
  initialPosition: opt.u32(13),
  replicateSubscriptionState: opt.bool(14),
  forceTopicCreation: opt.bool(15),
  startMessageRollbackDurationSec: opt.i53(16),
  keySharedMeta: opt.message(17, KEY_SHARED_META),
  subscriptionProperties: many.properties(18),
  consumerEpoch: opt.i53(19),
});

export const MESSAGE = message('CommandMessage', {
  consumerId: req.i53(1),
  messageId: req.message(2, MESSAGE_ID),
  redeliveryCount: opt.u32(3),
  ackSet: many.bits(4),
  consumerEpoch: opt.i53(5),
});

export const ACK = message('CommandAck', {
  consumerId: req.i53(1),
  ackType: req.u32(2),
  messageIds: many.message(3, MESSAGE_ID),
  validationError: opt.u32(4),
  properties: many.message(5, KEY_LONG),
  txnLeastBits: opt.i64(6),
  txnMostBits: opt.i64(7),
  requestId: opt.i53(8),
});

export const ACK_RESPONSE = message('CommandAckResponse', {
  consumerId: req.i53(1),
  txnLeastBits: opt.i64(2),
  txnMostBits: opt.i64(3),
  error: opt.u32(4),
  message: opt.string(5),
  requestId: opt.i53(6),
});

export const FLOW = message('CommandFlow', { consumerId: req.i53(1), messagePermits: req.u32(2) });

export const UNSUBSCRIBE = message('CommandUnsubscribe', {
  consumerId: req.i53(1),
  requestId: req.i53(2),
  force: opt.bool(3),
});

export const CLOSE_CONSUMER = message('CommandCloseConsumer', {
  consumerId: req.i53(1),
  requestId: req.i53(2),
  assignedBrokerServiceUrl: opt.string(3),
  assignedBrokerServiceUrlTls: opt.string(4),
});

export const REDELIVER = message('CommandRedeliverUnacknowledgedMessages', {
  consumerId: req.i53(1),
  messageIds: many.message(2, MESSAGE_ID),
  consumerEpoch: opt.i53(3),
});

export const SEEK = message('CommandSeek', {
  consumerId: req.i53(1),
  requestId: req.i53(2),
  messageId: opt.message(3, MESSAGE_ID),
  messagePublishTime: opt.i53(4),
});

export const GET_LAST_MESSAGE_ID = message('CommandGetLastMessageId', {
  consumerId: req.i53(1),
  requestId: req.i53(2),
});

export const GET_LAST_MESSAGE_ID_RESPONSE = message('CommandGetLastMessageIdResponse', {
  lastMessageId: req.message(1, MESSAGE_ID),
  requestId: req.i53(2),
  consumerMarkDeletePosition: opt.message(3, MESSAGE_ID),
});

export const ACTIVE_CONSUMER_CHANGE = message('CommandActiveConsumerChange', {
  consumerId: req.i53(1),
  isActive: opt.bool(2),
});

export const REACHED_END_OF_TOPIC = message('CommandReachedEndOfTopic', { consumerId: req.i53(1) });

export const CONSUMER_STATS = message('CommandConsumerStats', { requestId: req.i53(1), consumerId: req.i53(4) });

export const CONSUMER_STATS_RESPONSE = message('CommandConsumerStatsResponse', {
  requestId: req.i53(1),
  errorCode: opt.u32(2),
  errorMessage: opt.string(3),
  msgRateOut: opt.double(4),
  msgThroughputOut: opt.double(5),
  msgRateRedeliver: opt.double(6),
  consumerName: opt.string(7),
  availablePermits: opt.i53(8),
  unackedMessages: opt.i53(9),
  blockedConsumerOnUnackedMsgs: opt.bool(10),
  address: opt.string(11),
  connectedSince: opt.string(12),
  type: opt.string(13),
  msgRateExpired: opt.double(14),
  msgBacklog: opt.i53(15),
  messageAckRate: opt.double(16),
});

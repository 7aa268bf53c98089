import { many, message, opt, req } from '../table/message-table.js';
import { MESSAGE_ID, SCHEMA } from './shared.tables.js';

export const PRODUCER = message('CommandProducer', {
  topic: req.string(1),
  producerId: req.i53(2),
  requestId: req.i53(3),
  producerName: opt.string(4),
  encrypted: opt.bool(5),
  metadata: many.properties(6),
  schema: opt.message(7, SCHEMA),
  epoch: opt.i53(8),
  userProvidedProducerName: opt.bool(9),
  accessMode: opt.u32(10),
  topicEpoch: opt.i64(11),
  txnEnabled: opt.bool(12),
  initialSubscriptionName: opt.string(13),
});

export const PRODUCER_SUCCESS = message('CommandProducerSuccess', {
  requestId: req.i53(1),
  producerName: req.string(2),
  lastSequenceId: opt.i64(3),
  schemaVersion: opt.bytes(4),
  topicEpoch: opt.i64(5),
  producerReady: opt.bool(6),
});

export const SEND = message('CommandSend', {
  producerId: req.i53(1),
  sequenceId: req.i64(2),
  numMessages: opt.i32(3),
  txnLeastBits: opt.i64(4),
  txnMostBits: opt.i64(5),
  highestSequenceId: opt.i64(6),
  isChunk: opt.bool(7),
  marker: opt.bool(8),
  messageId: opt.message(9, MESSAGE_ID),
});

export const SEND_RECEIPT = message('CommandSendReceipt', {
  producerId: req.i53(1),
  sequenceId: req.i64(2),
  messageId: opt.message(3, MESSAGE_ID),
  highestSequenceId: opt.i64(4),
});

export const SEND_ERROR = message('CommandSendError', {
  producerId: req.i53(1),
  sequenceId: req.i64(2),
  error: req.u32(3),
  message: req.string(4),
});

export const CLOSE_PRODUCER = message('CommandCloseProducer', {
  producerId: req.i53(1),
  requestId: req.i53(2),
  assignedBrokerServiceUrl: opt.string(3),
  assignedBrokerServiceUrlTls: opt.string(4),
});

export const SUCCESS = message('CommandSuccess', { requestId: req.i53(1), schema: opt.message(2, SCHEMA) });

import { many, message, opt, req } from '../table/message-table.js';

const SUBSCRIPTION = message('Subscription', { topic: req.string(1), subscription: req.string(2) });

/** What every request about a transaction begins with. Absent ids are 0: a transaction of 0 and 0 is real. */
const TXN = { requestId: req.i53(1), txnLeastBits: opt.i64(2), txnMostBits: opt.i64(3) } as const;
const RESPONSE = { ...TXN, error: opt.u32(4), message: opt.string(5) } as const;

export const TC_CLIENT_CONNECT = message('CommandTcClientConnectRequest', { requestId: req.i53(1), tcId: req.i53(2) });

export const TC_CLIENT_CONNECT_RESPONSE = message('CommandTcClientConnectResponse', {
  requestId: req.i53(1),
  error: opt.u32(2),
  message: opt.string(3),
});

/** The field called `txnTtlSeconds` holds milliseconds. */
export const NEW_TXN = message('CommandNewTxn', {
  requestId: req.i53(1),
  txnTtlSeconds: opt.i53(2),
  tcId: opt.i53(3),
});
export const NEW_TXN_RESPONSE = message('CommandNewTxnResponse', RESPONSE);

export const ADD_PARTITION_TO_TXN = message('CommandAddPartitionToTxn', { ...TXN, partitions: many.string(4) });
export const ADD_PARTITION_TO_TXN_RESPONSE = message('CommandAddPartitionToTxnResponse', RESPONSE);

export const ADD_SUBSCRIPTION_TO_TXN = message('CommandAddSubscriptionToTxn', {
  ...TXN,
  subscriptions: many.message(4, SUBSCRIPTION),
});
export const ADD_SUBSCRIPTION_TO_TXN_RESPONSE = message('CommandAddSubscriptionToTxnResponse', RESPONSE);

export const END_TXN = message('CommandEndTxn', { ...TXN, txnAction: opt.u32(4) });
export const END_TXN_RESPONSE = message('CommandEndTxnResponse', RESPONSE);

export const END_TXN_ON_PARTITION = message('CommandEndTxnOnPartition', {
  ...TXN,
  topic: opt.string(4),
  txnAction: opt.u32(5),
  lowWatermark: opt.i64(6),
});
export const END_TXN_ON_PARTITION_RESPONSE = message('CommandEndTxnOnPartitionResponse', RESPONSE);

export const END_TXN_ON_SUBSCRIPTION = message('CommandEndTxnOnSubscription', {
  ...TXN,
  subscription: opt.message(4, SUBSCRIPTION),
  txnAction: opt.u32(5),
  lowWatermark: opt.i64(6),
});
export const END_TXN_ON_SUBSCRIPTION_RESPONSE = message('CommandEndTxnOnSubscriptionResponse', RESPONSE);

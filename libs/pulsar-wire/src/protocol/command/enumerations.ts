/** How a subscription shares its messages, `SUBSCRIBE.subscriptionType`. */
export const SUBSCRIPTION_TYPE = Object.freeze({ Exclusive: 0, Shared: 1, Failover: 2, Key_Shared: 3 });

/** Where a new subscription begins, `SUBSCRIBE.initialPosition`. */
export const INITIAL_POSITION = Object.freeze({ latest: 0, earliest: 1 });

/** How producers share a topic, `PRODUCER.accessMode`. */
export const ACCESS_MODE = Object.freeze({ shared: 0, exclusive: 1, waitForExclusive: 2, exclusiveWithFencing: 3 });

/** What a lookup answers, `LOOKUP_RESPONSE.response`. */
export const LOOKUP_TYPE = Object.freeze({ redirect: 0, connect: 1, failed: 2 });

/** `ACK.ackType`. Cumulative acknowledgement is void on Shared and Key_Shared although the broker answers success. */
export const ACK_TYPE = Object.freeze({ individual: 0, cumulative: 1 });

/** `KeySharedMeta.mode`. */
export const KEY_SHARED_MODE = Object.freeze({ autoSplit: 0, sticky: 1 });

/** Which topics, `GET_TOPICS_OF_NAMESPACE.mode`. */
export const TOPIC_MODE = Object.freeze({ persistent: 0, nonPersistent: 1, all: 2 });

/** How a transaction ends, `END_TXN.txnAction`. */
export const TXN_ACTION = Object.freeze({ commit: 0, abort: 1 });

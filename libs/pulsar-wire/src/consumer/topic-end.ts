import type { MessageId } from '../protocol/message-id/message-id.js';

/** Where a topic, or one of its partitions, ends. */
export interface TopicEnd {
  /** The place of the last message; entry −1 = there is none. */
  readonly last: MessageId;
  /** What stands up to here is behind the subscription; `undefined`: the broker does not say. */
  readonly passed: MessageId | undefined;
}

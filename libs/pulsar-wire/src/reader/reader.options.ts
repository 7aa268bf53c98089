import type { SeekTarget } from '../consumer/cursor-place.js';
import type { ReceivedMessage } from '../consumer/received-message.js';
import type { MessageId } from '../protocol/message-id/message-id.js';

/** What to read, and from where. */
export interface ReaderOptions {
  /** As for a consumer. A topic with partitions is read in the order of each of them, which is that of a key, and none between them. */
  readonly topic: string;
  /**
   * Begin behind this message, before all of them (`MessageId.earliest`) or with what is published from now on (`MessageId.latest`); where there are
   * partitions, one of these two. This or `startPublishTimeMs` is required.
   */
  readonly startMessageId?: MessageId | undefined;
  /** Begin with what was published at this time or later, milliseconds since 1970. */
  readonly startPublishTimeMs?: number | undefined;
  /** Messages that are kept ready. Default 1,000. */
  readonly queueSize?: number | undefined;
  /** Payload bytes that are kept ready, see the same option of a consumer. Default: `queueSize` alone counts. */
  readonly prefetchBytes?: number | undefined;
  /** As for a consumer. Default `view`. */
  readonly payloads?: 'view' | 'copy' | undefined;
}

/** Defaults of {@link ReaderOptions}. */
export const WIRE_READER_DEFAULTS = Object.freeze({ queueSize: 1_000 });

/** Reads a topic in its order, from a place that the application chooses; nothing of it is kept at the broker. */
export interface WireReader {
  /** The full topic name. */
  readonly topic: string;
  /**
   * The next message; waits for one to be published. After a lost connection it goes on behind the last one read.
   *
   * @param signal ends the wait and nothing else.
   * @throws {@link WireError} when the reader is closed or cannot come back.
   */
  next(signal?: AbortSignal): Promise<ReceivedMessage>;
  /**
   * The place of the last message of the topic; entry −1 = there is none.
   *
   * @throws {@link UnsupportedOperationError} when the topic has partitions.
   */
  lastMessageId(): Promise<MessageId>;
  /** As {@link lastMessageId}, of each partition by their numbers. */
  lastMessageIds(): Promise<readonly MessageId[]>;
  /**
   * Whether the topic holds a message that was not read yet. Over a lost connection the broker is asked again.
   *
   * @throws {@link RequestTimeoutError} when there is no answer within `operationTimeoutMs`; {@link WireError}
   */
  hasNext(): Promise<boolean>;
  /**
   * Goes on behind a message, or with what was published at a time (milliseconds since 1970) or later. Where there are partitions, a message can only be
   * `MessageId.earliest` or `MessageId.latest`.
   */
  seek(target: SeekTarget): Promise<void>;
  /** Idempotent; whoever waits for a message is rejected. */
  close(): Promise<void>;
}

import type { ReceivedMessage } from '../consumer/received-message.js';
import type { MessageId } from '../protocol/message-id/message-id.js';

/** What to read, and from where. */
export interface ReaderOptions {
  /** As for a consumer; not a partitioned topic, but one of its partitions may be named. */
  readonly topic: string;
  /** Begin behind this message, before all of them (`MessageId.earliest`) or with what is published from now on (`MessageId.latest`). */
  readonly startMessageId: MessageId;
  /** Messages that are kept ready. Default 1,000. */
  readonly queueSize?: number | undefined;
  /** As for a consumer. Default `view`. */
  readonly payloads?: 'view' | 'copy' | undefined;
}

/** Defaults of {@link ReaderOptions}. */
export const WIRE_READER_DEFAULTS = Object.freeze({ queueSize: 1_000 });

/** Reads one topic in its order, from a place that the application chooses; nothing of it is kept at the broker. */
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
  /** The place of the last message of the topic; entry −1 = there is none. */
  lastMessageId(): Promise<MessageId>;
  /** Whether the topic holds a message that was not read yet. */
  hasNext(): Promise<boolean>;
  /** Goes on behind a message. */
  seek(target: MessageId): Promise<void>;
  /** Idempotent; whoever waits for a message is rejected. */
  close(): Promise<void>;
}

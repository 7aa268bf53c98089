import { WaitAbortedError, WireClosedError } from '../client/client.errors.js';
import type { ConsumerListener } from '../consumer/consumer.options.js';
import type { ReceivedMessage } from '../consumer/received-message.js';
import type { TopicConsumer } from '../consumer/topic-consumer.js';
import type { MessageId } from '../protocol/message-id/message-id.js';
import type { WireReader } from './reader.options.js';

interface Waiting {
  readonly resolve: (message: ReceivedMessage) => void;
  readonly reject: (cause: Error) => void;
}

/** A {@link WireReader} over a consumer without a durable cursor. */
export class TopicReader implements WireReader {
  readonly #queue: ReceivedMessage[] = [];
  readonly #waiting = new Set<Waiting>();
  #consumer: TopicConsumer | undefined;
  #position: MessageId;
  #ended: Error | undefined;

  constructor(
    readonly topic: string,
    start: MessageId,
    private readonly queueSize: number,
  ) {
    this.#position = start;
  }

  /** What its consumer is given, before it exists. */
  readonly listener: ConsumerListener = {
    onMessage: (message) => {
      const [first] = this.#waiting;
      if (first === undefined) {
        this.#queue.push(message);
      } else {
        this.#waiting.delete(first);
        first.resolve(this.#taken(message));
      }
    },
    onClosed: (error) => this.#end(error),
  };

  /** Begins to fill the queue. */
  begin(consumer: TopicConsumer): void {
    this.#consumer = consumer;
    consumer.permit(this.queueSize);
  }

  next(signal?: AbortSignal): Promise<ReceivedMessage> {
    if (signal?.aborted === true) {
      return Promise.reject(new WaitAbortedError(signal.reason));
    }
    const message = this.#queue.shift();
    if (message !== undefined) {
      return Promise.resolve(this.#taken(message));
    }
    if (this.#ended !== undefined) {
      return Promise.reject(this.#ended);
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiting.delete(waiting);
        reject(new WaitAbortedError(signal?.reason));
      };
      const settled = (): void => signal?.removeEventListener('abort', onAbort);
      const waiting: Waiting = {
        resolve: (next) => {
          settled();
          resolve(next);
        },
        reject: (cause) => {
          settled();
          reject(cause);
        },
      };
      this.#waiting.add(waiting);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  lastMessageId(): Promise<MessageId> {
    return this.#open().lastMessageId();
  }

  async hasNext(): Promise<boolean> {
    if (this.#queue.length > 0) {
      return true;
    }
    const last = await this.lastMessageId();
    return last.entryId >= 0n && isBefore(this.#position, last);
  }

  async seek(target: MessageId): Promise<void> {
    const consumer = this.#open();
    await consumer.seek(target);
    this.#position = target;
    const dropped = this.#queue.splice(0).length;
    if (dropped > 0) {
      consumer.permit(dropped);
    }
  }

  async close(): Promise<void> {
    this.#end(new WireClosedError('reader'));
    await this.#consumer?.close();
  }

  #taken(message: ReceivedMessage): ReceivedMessage {
    this.#position = message.id;
    this.#consumer?.permit(1);
    return message;
  }

  #open(): TopicConsumer {
    if (this.#consumer === undefined || this.#ended !== undefined) {
      throw this.#ended ?? new WireClosedError('reader');
    }
    return this.#consumer;
  }

  #end(cause: Error): void {
    this.#ended ??= cause;
    this.#queue.length = 0;
    for (const waiting of this.#waiting) {
      waiting.reject(cause);
    }
    this.#waiting.clear();
  }
}

/** Within one topic; an entry without an index stands for all of it. */
function isBefore(position: MessageId, other: MessageId): boolean {
  if (position.ledgerId !== other.ledgerId) {
    return position.ledgerId < other.ledgerId;
  }
  if (position.entryId !== other.entryId) {
    return position.entryId < other.entryId;
  }
  return position.batchIndex >= 0 && position.batchIndex < other.batchIndex;
}

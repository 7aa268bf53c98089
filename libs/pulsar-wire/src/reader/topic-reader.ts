import { UnsupportedOperationError, WaitAbortedError, WireClosedError } from '../client/client.errors.js';
import { Fifo } from '../collections/fifo.js';
import type { ConsumerListener, WireConsumer } from '../consumer/consumer.options.js';
import type { SeekTarget } from '../consumer/cursor-place.js';
import type { HandedOutId } from '../consumer/handed-out-id.js';
import type { ReceivedMessage } from '../consumer/received-message.js';
import type { TopicEnd } from '../consumer/topic-end.js';
import { MessageId } from '../protocol/message-id/message-id.js';
import type { WireReader } from './reader.options.js';

interface Waiting {
  readonly resolve: (message: ReceivedMessage) => void;
  readonly reject: (cause: Error) => void;
}

/** The consumer under a reader: of one topic, or of all partitions. */
export interface ReaderSource extends Pick<WireConsumer, 'ackCumulative' | 'close' | 'permit' | 'seek'> {
  ends(): Promise<readonly TopicEnd[]>;
}

/** A {@link WireReader} over a consumer without a durable cursor. */
export class TopicReader implements WireReader {
  readonly #queue = new Fifo<ReceivedMessage>();
  readonly #waiting = new Set<Waiting>();
  /** The last message taken, by the number of its partition. */
  readonly #taken = new Map<number, HandedOutId>();
  #source: ReaderSource | undefined;
  #start: SeekTarget;
  /** Messages taken since the broker was told. */
  #untold = 0;
  #telling: Promise<unknown> = Promise.resolve();
  #ended: Error | undefined;

  constructor(
    readonly topic: string,
    start: SeekTarget,
    private readonly queueSize: number,
  ) {
    this.#start = start;
  }

  /** What its consumer is given, before it exists. */
  readonly listener: ConsumerListener = {
    onMessage: (message) => {
      if (this.#ended !== undefined) {
        return;
      }
      const [first] = this.#waiting;
      if (first === undefined) {
        this.#queue.push(message);
      } else {
        this.#waiting.delete(first);
        first.resolve(this.#take(message));
      }
    },
    onClosed: (error) => this.#end(error),
  };

  /** Begins to fill the queue. */
  begin(source: ReaderSource): void {
    this.#source = source;
    source.permit(this.queueSize);
  }

  next(signal?: AbortSignal): Promise<ReceivedMessage> {
    if (signal?.aborted === true) {
      return Promise.reject(new WaitAbortedError(signal.reason));
    }
    const message = this.#queue.shift();
    if (message !== undefined) {
      return Promise.resolve(this.#take(message));
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

  async lastMessageId(): Promise<MessageId> {
    const [last, ...others] = await this.lastMessageIds();
    if (last === undefined || others.length > 0) {
      throw new UnsupportedOperationError(
        `${this.topic} has partitions, and each has a last message.`,
        'Ask for lastMessageIds().',
      );
    }
    return last;
  }

  async lastMessageIds(): Promise<readonly MessageId[]> {
    return (await this.#open().ends()).map(({ last }) => last);
  }

  async hasNext(): Promise<boolean> {
    if (this.#queue.size > 0) {
      return true;
    }
    const ends = await this.#open().ends();
    return ends.some(({ last, passed }) => {
      const position = this.#taken.get(last.partition) ?? this.#begun(passed);
      return last.entryId >= 0n && position !== undefined && isBefore(position, last);
    });
  }

  async seek(target: SeekTarget): Promise<void> {
    const source = this.#open();
    const [start, taken] = [this.#start, [...this.#taken]];
    // Before, and not behind: a partition that has sought sends what was asked for while others are still at it.
    const dropped = this.#queue.takeAll();
    this.#start = target;
    this.#taken.clear();
    try {
      await source.seek(target);
    } catch (error) {
      // It reads on where it was; what has come meanwhile stands behind.
      this.#start = start;
      taken.forEach(([partition, id]) => this.#taken.has(partition) || this.#taken.set(partition, id));
      const arrived = this.#queue.takeAll();
      // As if they came now: somebody may wait by now.
      [...dropped, ...arrived].forEach((message) => this.listener.onMessage(message));
      throw error;
    }
    if (dropped.length > 0) {
      source.permit(dropped.length);
    }
  }

  async close(): Promise<void> {
    this.#end(new WireClosedError('reader'));
    await this.#source?.close();
    await this.#telling;
  }

  #take(message: ReceivedMessage): ReceivedMessage {
    this.#taken.set(message.id.partition, message.id);
    this.#source?.permit(1);
    if (++this.#untold * 2 >= this.queueSize) {
      this.#tell();
    }
    return message;
  }

  /** Lets the broker know what is read, for its statistics, and the consumer forget it. What is lost of it is told with the next one. */
  #tell(): void {
    this.#untold = 0;
    const source = this.#source;
    if (source !== undefined) {
      this.#telling = Promise.allSettled([...this.#taken.values()].map((id) => source.ackCumulative(id)));
    }
  }

  /** Where it began to read, as far as that can be said: the end of a topic moves on, and a time is no place. */
  #begun(passed: MessageId | undefined): MessageId | undefined {
    return this.#start instanceof MessageId && !this.#start.equals(MessageId.latest) ? this.#start : passed;
  }

  #open(): ReaderSource {
    if (this.#source === undefined || this.#ended !== undefined) {
      throw this.#ended ?? new WireClosedError('reader');
    }
    return this.#source;
  }

  #end(cause: Error): void {
    this.#ended ??= cause;
    this.#queue.takeAll();
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

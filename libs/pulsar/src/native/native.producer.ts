import { PulsarClosedError } from '../pulsar.errors.js';
import { tooLarge, unsupported } from '../transport/broker-failure.js';
import { SendRoom } from '../transport/send-room.js';
import type {
  MessageId,
  OutgoingMessage,
  TransportProducer,
  TransportProducerOptions,
} from '../transport/pulsar.transport.js';
import type { NativeOutgoing, NativeProducer } from './native.client.js';
import { nativeFailure, resultName } from './native.failures.js';
import { lostOnTheWay } from './native.message.js';

interface Send {
  settled: boolean;
}

/** One producer of the official client, with a window of ours: at its own limit the client rejects, or freezes the process. */
export class NativeTransportProducer implements TransportProducer {
  readonly topic: string;
  readonly #room: SendRoom;
  readonly #sends = new Set<Send>();
  /** Those who wait for the next send to settle. */
  readonly #watchers: (() => void)[] = [];
  #closing: Promise<void> | undefined;

  constructor(
    private readonly producer: NativeProducer,
    options: TransportProducerOptions,
    private readonly maxPayloadBytes: number,
    private readonly onClose: (producer: NativeTransportProducer) => void,
  ) {
    this.topic = options.topic;
    this.#room = new SendRoom(options.topic, options.maxPendingMessages, options.maxPendingBytes);
  }

  get pending(): number {
    return this.#sends.size;
  }

  send(message: OutgoingMessage, signal?: AbortSignal): Promise<MessageId> {
    if (this.#closing !== undefined) {
      return Promise.reject(new PulsarClosedError('producer', this.topic));
    }
    if (message.tombstone === true) {
      return Promise.reject(unsupported('native', 'message without a payload', this.topic));
    }
    const bytes = message.payload.byteLength;
    if (bytes > this.maxPayloadBytes) {
      return Promise.reject(tooLarge(this.topic, bytes, this.maxPayloadBytes));
    }
    if (message.sequenceId !== undefined && message.sequenceId > Number.MAX_SAFE_INTEGER) {
      // As a number it would be that of another message, and deduplication would drop one of them.
      return Promise.reject(unsupported('native', 'sequence id above 9,007,199,254,740,991', this.topic));
    }
    const lost = lostOnTheWay(message);
    if (lost !== undefined) {
      return Promise.reject(unsupported('native', lost, this.topic));
    }
    // Copied now: the caller may change it while it waits for room.
    const own = nativeMessage(message);
    return new Promise((resolve, reject) => {
      const send: Send = { settled: false };
      this.#sends.add(send);
      const go = (): void => {
        this.producer.send(own).then(
          (id) => {
            this.#settle(send, bytes);
            resolve(id);
          },
          (error: unknown) => {
            this.#settle(send, bytes);
            reject(nativeFailure('send', error, this.topic));
          },
        );
      };
      this.#room.enter(bytes, go, signal, (aborted) => {
        this.#forget(send);
        reject(aborted);
      });
    });
  }

  async flush(): Promise<void> {
    const before = [...this.#sends];
    for (let left = unsettled(before); left > 0;) {
      // Those that wait for room are none of the client's yet: each of its flushes makes room for some.
      await this.#nudge();
      const now = unsettled(before);
      if (now === left && now > 0) {
        await new Promise<void>((resolve) => this.#watchers.push(resolve));
      }
      left = unsettled(before);
    }
    // Whoever waits for the flush finds the promises of the sends settled.
    await Promise.resolve();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      // Closing alone would reject everything that is pending; a flush that failed must not keep the client's producer open.
      const [flushed] = await Promise.allSettled([this.flush()]);
      await this.producer.close().catch((error: unknown) => {
        if (resultName(error) !== 'AlreadyClosed') {
          throw nativeFailure('close', error, this.topic);
        }
      });
      if (flushed.status === 'rejected') {
        throw flushed.reason;
      }
    } finally {
      this.onClose(this);
    }
  }

  async #nudge(): Promise<void> {
    await this.producer.flush().catch((error: unknown) => {
      if (resultName(error) !== 'AlreadyClosed') {
        throw nativeFailure('flush', error, this.topic);
      }
    });
  }

  #settle(send: Send, bytes: number): void {
    this.#forget(send);
    this.#room.release(bytes);
  }

  #forget(send: Send): void {
    send.settled = true;
    this.#sends.delete(send);
    for (const watcher of this.#watchers.splice(0)) {
      watcher();
    }
  }
}

function unsettled(sends: readonly Send[]): number {
  return sends.reduce((count, { settled }) => count + (settled ? 0 : 1), 0);
}

function nativeMessage(message: OutgoingMessage): NativeOutgoing {
  const { key, orderingKey, properties, eventTimeMs, deliverAtMs, sequenceId } = message;
  return {
    data: Buffer.from(message.payload),
    ...(key === undefined ? {} : { partitionKey: key }),
    ...(orderingKey === undefined ? {} : { orderingKey }),
    ...(properties === undefined ? {} : { properties: { ...properties } }),
    ...(eventTimeMs === undefined ? {} : { eventTimestamp: eventTimeMs }),
    ...(deliverAtMs === undefined ? {} : { deliverAt: deliverAtMs }),
    ...(sequenceId === undefined ? {} : { sequenceId: Number(sequenceId) }),
  };
}

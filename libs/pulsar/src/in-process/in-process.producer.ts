import type { Timer } from '@smartpulse/resilience';
import { PulsarClosedError, PulsarError } from '../pulsar.errors.js';
import { sendAborted, tooLarge } from '../transport/broker-failure.js';
import type {
  MessageId,
  OutgoingMessage,
  SendListener,
  TransportProducer,
  TransportProducerOptions,
} from '../transport/pulsar.transport.js';
import { Fifo } from './fifo.js';
import type { InProcessBroker } from './in-process.broker.js';
import { ownCopy, sizeOf } from './stored-message.js';

interface Send {
  readonly message: OutgoingMessage;
  readonly bytes: number;
  readonly listener: SendListener;
  withdrawn: boolean;
  /** Lets go of the caller's signal. */
  release: (() => void) | undefined;
}

interface Flush {
  /** Resolves when so many sends, in the order of the calls, are settled. */
  readonly target: number;
  readonly resolve: () => void;
}

/** One producer of the in-process broker: batches with linger, waits at the pending limit, stores in the order of the calls. */
export class InProcessProducer implements TransportProducer {
  readonly #broker: InProcessBroker;
  readonly #options: TransportProducerOptions;
  readonly #maxPayloadBytes: number;
  readonly #name: string;
  readonly #onClose: () => void;
  readonly #waiting = new Fifo<Send>();
  readonly #flushes = new Fifo<Flush>();
  #withdrawn = 0;
  #called = 0;
  #batch: Send[] = [];
  #batchBytes = 0;
  #pending = 0;
  #pendingBytes = 0;
  #linger: Timer | undefined;
  #sequenceId: bigint;
  #closed = false;
  #released = false;

  constructor(
    broker: InProcessBroker,
    options: TransportProducerOptions,
    maxPayloadBytes: number,
    onClose: () => void,
  ) {
    this.#broker = broker;
    this.#options = options;
    this.#maxPayloadBytes = maxPayloadBytes;
    this.#name = options.producerName ?? broker.nextProducerName();
    const topic = broker.topic(options.topic);
    topic.takeName(this.#name);
    this.#sequenceId = topic.lastSequenceId(this.#name);
    this.#onClose = onClose;
  }

  get topic(): string {
    return this.#options.topic;
  }

  get pending(): number {
    return this.#pending + this.#waiting.size - this.#withdrawn;
  }

  send(message: OutgoingMessage, signal?: AbortSignal): Promise<MessageId> {
    return new Promise((onStored, onFailed) => this.sendTo({ onStored, onFailed }, message, signal));
  }

  sendTo(listener: SendListener, message: OutgoingMessage, signal?: AbortSignal): void {
    const refused = this.#refusal(message, signal);
    if (refused !== undefined) {
      listener.onFailed(refused);
      return;
    }
    const own = ownCopy(message);
    const send: Send = { message: own, bytes: sizeOf(own), listener, withdrawn: false, release: undefined };
    this.#called++;
    if (this.#waiting.size === 0 && this.#hasRoom(send)) {
      this.#accept(send);
    } else {
      this.#wait(send, signal);
    }
  }

  flush(): Promise<void> {
    if (this.#pending + this.#waiting.size === 0) {
      return Promise.resolve();
    }
    return new Promise<void>((resolve) => {
      this.#flushes.push({ target: this.#called, resolve });
      this.#store();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
    this.#linger?.cancel();
    this.#linger = undefined;
    if (!this.#released && !this.#broker.closed) {
      this.#released = true;
      this.#broker.topic(this.topic).releaseName(this.#name);
    }
    this.#onClose();
  }

  #refusal(message: OutgoingMessage, signal: AbortSignal | undefined): PulsarError | undefined {
    if (this.#closed || this.#broker.closed) {
      return new PulsarClosedError(this.#closed ? 'producer' : 'broker', this.topic);
    }
    if (message.payload.byteLength > this.#maxPayloadBytes) {
      return tooLarge(this.topic, message.payload.byteLength, this.#maxPayloadBytes);
    }
    return signal?.aborted === true ? sendAborted(this.topic, signal.reason) : undefined;
  }

  #hasRoom({ bytes }: Send): boolean {
    const { maxPendingMessages, maxPendingBytes } = this.#options;
    return this.#pending === 0 || (this.#pending < maxPendingMessages && this.#pendingBytes + bytes <= maxPendingBytes);
  }

  #wait(send: Send, signal: AbortSignal | undefined): void {
    this.#waiting.push(send);
    // Nobody joins the batch before some of it is stored: lingering would only lose time.
    this.#store();
    if (signal !== undefined) {
      const onAbort = (): void => {
        send.withdrawn = true;
        this.#withdrawn++;
        send.listener.onFailed(sendAborted(this.topic, signal.reason));
        // Those behind it may be small enough for the room that it was too large for.
        this.#admit();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      send.release = () => signal.removeEventListener('abort', onAbort);
    }
  }

  #accept(send: Send): void {
    this.#pending++;
    this.#pendingBytes += send.bytes;
    this.#batch.push(send);
    this.#batchBytes += send.bytes;
    const { enabled, maxMessages, maxBytes, maxDelayMs } = this.#options.batching;
    const full =
      !enabled ||
      maxDelayMs === 0 ||
      this.#flushes.size > 0 ||
      send.message.deliverAtMs !== undefined ||
      this.#batch.length >= maxMessages ||
      this.#batchBytes >= maxBytes ||
      // Whoever waits for room must not also wait for the linger.
      this.#pending >= this.#options.maxPendingMessages ||
      this.#pendingBytes >= this.#options.maxPendingBytes;
    if (full) {
      this.#store();
    } else {
      this.#linger ??= this.#broker.clock.setTimer(maxDelayMs, () => {
        this.#linger = undefined;
        this.#store();
      });
    }
  }

  /** Hands the batch over; the answer comes in a later microtask, as from any broker. */
  #store(): void {
    this.#linger?.cancel();
    this.#linger = undefined;
    const batch = this.#batch;
    if (batch.length === 0) {
      return;
    }
    this.#batch = [];
    this.#batchBytes = 0;
    queueMicrotask(() => {
      for (const send of batch) {
        this.#append(send);
      }
      this.#pending -= batch.length;
      this.#pendingBytes -= batch.reduce((sum, { bytes }) => sum + bytes, 0);
      this.#admit();
      this.#announceSettled();
    });
  }

  #append(send: Send): void {
    const { message, listener } = send;
    let id: MessageId;
    try {
      const explicit = message.sequenceId !== undefined;
      const sequenceId = message.sequenceId ?? this.#sequenceId + 1n;
      if (sequenceId > this.#sequenceId) {
        this.#sequenceId = sequenceId;
      }
      const deduplicate = explicit && this.#options.producerName !== undefined;
      id = this.#broker.topic(this.topic).append(message, this.#name, sequenceId, deduplicate);
    } catch (error) {
      listener.onFailed(PulsarError.from(error, this.topic));
      return;
    }
    listener.onStored(id);
  }

  #admit(): void {
    for (let send = this.#waiting.peek(); send !== undefined; send = this.#waiting.peek()) {
      if (send.withdrawn) {
        this.#withdrawn--;
        this.#waiting.shift();
      } else if (this.#hasRoom(send)) {
        this.#waiting.shift();
        send.release?.();
        this.#accept(send);
      } else {
        break;
      }
    }
  }

  /** Sends settle in the order of the calls, so their number tells which flushes are done. */
  #announceSettled(): void {
    const settled = this.#called - this.#pending - this.#waiting.size;
    for (
      let flush = this.#flushes.peek();
      flush !== undefined && flush.target <= settled;
      flush = this.#flushes.peek()
    ) {
      this.#flushes.shift();
      flush.resolve();
    }
  }
}

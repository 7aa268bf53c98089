import type { ClientContext } from '../client/client-context.js';
import { RequestTimeoutError, SendTimeoutError, toWireError, WireClosedError } from '../client/client.errors.js';
import type { Timer } from '../client/time.js';
import { type Attachable, Attachment } from '../connection/attachment.js';
import { BrokerRefusedError, endsAttachment, REFUSAL } from '../connection/broker-error.js';
import type { Connection } from '../connection/connection.js';
import type { ProducerPort } from '../connection/ports.js';
import { Fifo } from '../collections/fifo.js';
import { ACCESS_MODE } from '../protocol/command/enumerations.js';
import type { CommandFields, CommandInput } from '../protocol/command/commands.js';
import type { SendReceipt } from '../protocol/frame/hot-commands.js';
import { FRAME_HEADROOM_BYTES } from '../protocol/frame/frame-reader.js';
import type { MessageId } from '../protocol/message-id/message-id.js';
import { MessageTooLargeError, type WireError } from '../pulsar-wire.errors.js';
import { Batcher, type BatcherOptions } from './batcher.js';
import { isIntact, type PendingFrame, type Sender, type Senders } from './pending-frames.js';
import { FlushGenerations } from './flush-generations.js';
import type { SendListener, WireAccessMode, WireMessage, WireProducer } from './producer.options.js';
import { SendQueue } from './send-queue.js';

/** A producer's options with all defaults filled in. */
export interface TopicProducerOptions {
  readonly topic: string;
  readonly partition: number;
  readonly producerName: string | undefined;
  readonly batching: Omit<BatcherOptions, 'compression'>;
  readonly compression: BatcherOptions['compression'];
  readonly maxPendingMessages: number;
  readonly maxPendingBytes: number;
  readonly sendTimeoutMs: number;
  readonly accessMode: WireAccessMode;
  readonly schema: CommandInput<'producer'>['schema'];
  readonly properties: Readonly<Record<string, string>> | undefined;
}

/** Times that a frame is sent again because it arrived damaged: then it is not the way. */
const MAX_CHECKSUM_RESENDS = 3;

/** A producer on one topic that is not partitioned, or on one partition. */
export class TopicProducer implements WireProducer, Attachable, ProducerPort {
  readonly topic: string;
  readonly #id: number;
  readonly #attachment: Attachment;
  readonly #batcher: Batcher;
  /** In the order in which they were sent; receipts come in the same order, those of duplicates excepted. */
  readonly #frames = new Fifo<PendingFrame>();
  readonly #queue: SendQueue;
  #connection: Connection | undefined;
  #name: string | undefined;
  #epoch = 0;
  #topicEpoch: bigint | undefined;
  #schemaVersion: Uint8Array | undefined;
  #lastSequenceId = -1n;
  #maxMessageBytes = 0;
  #begun = false;
  #checksumResends = 0;
  /** Receipts of frames that were sent again behind a damaged one. */
  #strayReceipts = 0;
  #timeout: Timer | undefined;
  readonly #flushes = new FlushGenerations();
  #closing: Promise<void> | undefined;
  /** The end of a registration that was given up; never rejects. */
  #released: Promise<unknown> | undefined;
  /** What later sends are told. */
  #ended: WireClosedError | undefined;

  constructor(
    private readonly context: ClientContext,
    private readonly options: TopicProducerOptions,
    private readonly onEnded: (producer: TopicProducer) => void,
  ) {
    this.topic = options.topic;
    this.#id = context.nextId();
    this.#name = options.producerName;
    this.#queue = new SendQueue(options.maxPendingMessages, options.maxPendingBytes);
    this.#batcher = new Batcher(
      { ...options.batching, compression: options.compression },
      context.clock,
      context.frameMemory,
      () => ({
        producerId: this.#id,
        producerName: this.name,
        maxMessageBytes: this.#maxMessageBytes,
        schemaVersion: this.#schemaVersion,
      }),
      (frame) => this.#onFrame(frame),
      (senders) => this.#release(senders),
    );
    this.#attachment = new Attachment(context, this);
  }

  get name(): string {
    return this.#name ?? '';
  }

  get pending(): number {
    return this.#queue.messages;
  }

  get lastSequenceId(): bigint {
    return this.#lastSequenceId;
  }

  /** Registers at the broker. @throws {@link WireError} */
  async open(): Promise<void> {
    try {
      await this.#attachment.start();
    } catch (error) {
      this.#end(toWireError(error));
      throw error;
    }
  }

  send(message: WireMessage, signal?: AbortSignal): Promise<MessageId> {
    return new Promise((onStored, onFailed) => this.sendTo({ onStored, onFailed }, message, signal));
  }

  sendTo(listener: SendListener, message: WireMessage, signal?: AbortSignal): void {
    const refusal = this.#refusal(message);
    if (refusal !== undefined) {
      listener.onFailed(refusal);
      return;
    }
    const bytes = message.payload?.length ?? 0;
    const sender: Sender = { bytes, listener, generation: this.#flushes.enter() };
    if (this.#queue.tryTake(bytes)) {
      this.#accept(message, sender);
      return;
    }
    // Nothing more comes into the open batches until some of them is settled: waiting for company would only lose time.
    this.#batcher.sealAll();
    // A batch that turned out too large was refused just now, and has left room that nobody would tell of again.
    if (this.#queue.tryTake(bytes)) {
      this.#accept(message, sender);
      return;
    }
    const onRefused = (cause: WireError): void => {
      listener.onFailed(cause);
      this.#flushes.leave(sender.generation);
    };
    this.#queue.wait(bytes, () => this.#accept(message, sender), onRefused, signal);
  }

  flush(): Promise<void> {
    this.#batcher.sealAll();
    return this.#flushes.flush();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async attach(connection: Connection): Promise<void> {
    const { options } = this;
    // To a registration of the same id the broker would answer with the old one, which it is about to close.
    await this.#released;
    connection.addProducer(this.#id, this);
    let success: CommandFields<'producerSuccess'>;
    try {
      success = await connection.request(
        'producer',
        (requestId) => ({
          topic: this.topic,
          producerId: this.#id,
          requestId,
          producerName: this.#name,
          metadata: options.properties,
          schema: options.schema,
          epoch: this.#epoch++,
          userProvidedProducerName: options.producerName !== undefined,
          accessMode: ACCESS_MODE[options.accessMode],
          topicEpoch: this.#topicEpoch,
        }),
        'producerSuccess',
      );
    } catch (error) {
      if (RequestTimeoutError.is(error)) {
        // It may be registered a moment later: its name would stay taken.
        this.#leave(connection);
      }
      connection.removeProducer(this.#id, this);
      if (BrokerRefusedError.is(error, REFUSAL.QuotaException)) {
        const doubt = new BrokerRefusedError('send', error.number, error.answer, { ambiguous: true });
        this.#failAll(() => doubt, new BrokerRefusedError('send', error.number, error.answer));
      }
      throw error;
    }
    if (this.#ended !== undefined) {
      // Closed in the meantime: nobody else would free its name.
      this.#leave(connection);
      throw this.#ended;
    }
    this.#name = success.producerName;
    this.#topicEpoch = success.topicEpoch ?? this.#topicEpoch;
    this.#schemaVersion = options.schema === undefined ? undefined : success.schemaVersion;
    this.#maxMessageBytes = connection.maxMessageBytes;
    if (!this.#begun) {
      this.#begun = true;
      this.#lastSequenceId = success.lastSequenceId ?? -1n;
      this.#batcher.begin(this.#lastSequenceId);
    }
    this.#connection = connection;
    this.#strayReceipts = 0;
    this.#resend(connection);
  }

  detached(cause: unknown): void {
    this.#connection = undefined;
    this.context.emit({ type: 'producer-detached', topic: this.topic, cause });
  }

  failed(cause: WireError): void {
    // What was sent before the refusal may have been stored.
    this.#end(
      cause instanceof BrokerRefusedError
        ? new BrokerRefusedError(cause.request, cause.number, cause.answer, { kind: cause.kind, ambiguous: true })
        : cause,
    );
  }

  isFinal(cause: WireError): boolean {
    return endsAttachment(cause);
  }

  onGone(connection: Connection, cause: unknown, brokerUrl?: string): void {
    this.#attachment.lost(connection, cause, brokerUrl);
  }

  onReceipt(receipt: SendReceipt): void {
    const frame = this.#frames.first;
    if (frame === undefined || receipt.sequenceId < frame.sequenceId) {
      this.#onEarlyReceipt(receipt);
      return;
    }
    if (receipt.sequenceId > frame.sequenceId) {
      if (this.#strayReceipts > 0) {
        // Stored before the damaged one was sent again, and sent again with it: its own receipt is still to come.
        this.#strayReceipts--;
        return;
      }
      this.#reattach(new WireClosedError('producer', { ambiguous: true }));
      return;
    }
    this.#frames.shift();
    this.#onStored(frame, receipt);
  }

  /** Of a duplicate, which need not wait until what was sent before it is stored; else the late one of something that timed out or was sent again. */
  #onEarlyReceipt(receipt: SendReceipt): void {
    const frame = this.#frames.find(({ sequenceId }) => sequenceId === receipt.sequenceId);
    if (frame !== undefined) {
      this.#frames.remove(frame);
      this.#onStored(frame, receipt);
    }
  }

  #onStored(frame: PendingFrame, receipt: SendReceipt): void {
    this.#attachment.proven();
    this.#checksumResends = 0;
    if (frame.highestSequenceId > this.#lastSequenceId) {
      this.#lastSequenceId = frame.highestSequenceId;
    }
    if (frame.written !== 'again') {
      // All of it is with the broker, and nobody here reads it again.
      this.context.frameMemory.giveBack(frame.bytes);
    }
    frame.senders.resolveAll(receipt.ledgerId, receipt.entryId, this.options.partition, frame.batched);
    this.#release(frame.senders);
  }

  onSendError({ sequenceId, error, message }: CommandFields<'sendError'>): void {
    // It answers before those in front of it that are being stored, and names a batch by its highest id.
    const frame = this.#frames.find((sent) => sent.sequenceId <= sequenceId && sequenceId <= sent.highestSequenceId);
    if (frame === undefined) {
      // The late answer to something that timed out.
      return;
    }
    const refusal = new BrokerRefusedError('send', error, message);
    const doubt = new BrokerRefusedError('send', error, message, { ambiguous: true });
    // An earlier time it may have been stored.
    const own = frame.written === 'again' ? doubt : refusal;
    switch (error) {
      case REFUSAL.Checksum:
        this.#onDamaged(frame, own);
        return;
      case REFUSAL.NotAllowed:
        this.#fail(frame, own);
        return;
      case REFUSAL.TopicTerminated: {
        // Nothing is stored any more; what is in front of it may have been before.
        let isBehind = false;
        this.#end(refusal, (pending) => {
          isBehind ||= pending === frame;
          return isBehind && pending.written !== 'again' ? refusal : doubt;
        });
        return;
      }
      default:
        // The message may be stored or not: only sending it again tells.
        this.#reattach(refusal);
    }
  }

  #refusal(message: WireMessage): WireError | undefined {
    if (this.#ended !== undefined) {
      return this.#ended;
    }
    if (this.#closing !== undefined) {
      return new WireClosedError('producer');
    }
    const bytes = message.payload?.length ?? 0;
    return this.options.compression === 'none' && bytes > this.#maxMessageBytes
      ? new MessageTooLargeError(bytes, this.#maxMessageBytes)
      : undefined;
  }

  #accept(message: WireMessage, sender: Sender): void {
    this.#batcher.add(message, sender);
    if (this.#flushes.isAwaited(sender.generation)) {
      // Somebody waits for this one: no lingering.
      this.#batcher.sealAll();
    }
    if (this.options.sendTimeoutMs > 0 && this.#timeout === undefined && this.#queue.messages > 0) {
      this.#timeout = this.context.clock.setTimer(this.options.sendTimeoutMs, () => this.#onTimeout());
    }
  }

  #onFrame(frame: PendingFrame): void {
    this.#frames.push(frame);
    this.#write(this.#connection, frame);
  }

  /** What has no connection is written by the next one. */
  #write(connection: Connection | undefined, frame: PendingFrame): void {
    if (connection !== undefined) {
      frame.written = frame.written === 'no' && !frame.repeatsId ? 'once' : 'again';
      connection.write(frame.bytes);
    }
  }

  /** Everything that has no receipt, unchanged and in order, before anything new. */
  #resend(connection: Connection): void {
    const limit = this.#maxMessageBytes + FRAME_HEADROOM_BYTES;
    const frames = this.#frames.takeAll();
    // This broker takes less than the last one, and would close the connection on it, again and again.
    const tooLarge = frames.filter(({ bytes }) => bytes.length - 4 > limit);
    for (const frame of frames) {
      if (frame.bytes.length - 4 <= limit) {
        this.#frames.push(frame);
        this.#write(connection, frame);
      }
    }
    // Not before: what waits for their room would overtake the others.
    for (const frame of tooLarge) {
      const ambiguous = frame.written !== 'no';
      this.#settleFrame(frame, new MessageTooLargeError(frame.bytes.length, this.#maxMessageBytes, { ambiguous }));
    }
    this.context.emit({ type: 'producer-attached', topic: this.topic, resentFrames: frames.length - tooLarge.length });
  }

  /** Gives the registration up and makes another one, without touching what else is on the connection. */
  #reattach(cause: WireError): void {
    const connection = this.#connection;
    if (connection !== undefined) {
      connection.removeProducer(this.#id, this);
      const released = connection.request(
        'closeProducer',
        (requestId) => ({ producerId: this.#id, requestId }),
        'success',
      );
      this.#released = Promise.allSettled([released]);
      this.#attachment.lost(connection, cause);
    }
  }

  #onDamaged(frame: PendingFrame, refusal: WireError): void {
    if (this.#checksumResends >= MAX_CHECKSUM_RESENDS || !isIntact(frame.bytes)) {
      this.#checksumResends = 0;
      this.#fail(frame, refusal);
      return;
    }
    this.#checksumResends++;
    // What is in front of it arrived; what is behind it must not stay in front of it.
    let isBehind = false;
    for (const pending of this.#frames) {
      if (isBehind) {
        this.#strayReceipts++;
      }
      isBehind ||= pending === frame;
      if (isBehind) {
        this.#write(this.#connection, pending);
      }
    }
  }

  #onTimeout(): void {
    this.#timeout = undefined;
    const { sendTimeoutMs } = this.options;
    const oldestMs = this.#frames.first?.acceptedAtMs ?? this.#batcher.oldestMs;
    if (oldestMs === undefined) {
      return;
    }
    const leftMs = oldestMs + sendTimeoutMs - this.context.clock.monotonic();
    if (leftMs > 0) {
      this.#timeout = this.context.clock.setTimer(leftMs, () => this.#onTimeout());
    } else {
      // All of them: letting later ones pass would break the order.
      const doubt = new SendTimeoutError(this.topic, sendTimeoutMs);
      this.#failAll(() => doubt, new SendTimeoutError(this.topic, sendTimeoutMs, { ambiguous: false }));
    }
  }

  #fail(frame: PendingFrame, cause: WireError): void {
    this.#frames.remove(frame);
    this.#settleFrame(frame, cause);
  }

  #settleFrame(frame: PendingFrame, cause: WireError): void {
    frame.senders.rejectAll(cause);
    this.#release(frame.senders);
  }

  /**
   * @param causeOf what is said of each frame that was written, asked in their order.
   * @param unsent for what was never written.
   */
  #failAll(causeOf: (written: PendingFrame) => WireError, unsent: WireError): void {
    const frames = this.#frames.takeAll();
    const open = this.#batcher.takeOpen();
    for (const frame of frames) {
      frame.senders.rejectAll(frame.written === 'no' ? unsent : causeOf(frame));
    }
    for (const senders of open) {
      senders.rejectAll(unsent);
    }
    for (const senders of [...frames.map((frame) => frame.senders), ...open]) {
      this.#release(senders);
    }
  }

  #release({ count, bytes, generation }: Senders): void {
    this.#queue.release(count, bytes);
    if (generation !== undefined) {
      this.#flushes.leave(generation, count);
    }
  }

  async #close(): Promise<void> {
    if (this.#ended !== undefined) {
      return;
    }
    // With no broker and no send timeout the flush would never end.
    const limit = this.context.clock.setTimer(this.context.operationTimeoutMs, () =>
      this.#end(new WireClosedError('producer', { ambiguous: true })),
    );
    await this.flush();
    limit.cancel();
    const connection = this.#connection;
    if (connection !== undefined && this.#ended === undefined) {
      try {
        await connection.request('closeProducer', (requestId) => ({ producerId: this.#id, requestId }), 'success');
      } catch (cause) {
        // The connection is gone or the broker is silent: it has forgotten the producer or will.
        this.context.emit({ type: 'producer-detached', topic: this.topic, cause });
      }
      connection.removeProducer(this.#id, this);
      this.#connection = this.#connection === connection ? undefined : this.#connection;
    }
    this.#end(new WireClosedError('producer'));
  }

  /** Frees its name, without waiting for the answer. */
  #leave(connection: Connection): void {
    connection.removeProducer(this.#id, this);
    connection.send('closeProducer', { producerId: this.#id, requestId: this.context.nextId() });
  }

  /** @param causeOf what is said of each frame that was written, asked in their order. */
  #end(cause: WireError, causeOf: (written: PendingFrame) => WireError = () => cause): void {
    if (this.#ended !== undefined) {
      return;
    }
    // Whoever comes too late is told that nothing was sent, and makes another producer.
    const ended = WireClosedError.is(cause) && !cause.ambiguous ? cause : new WireClosedError('producer', { cause });
    this.#ended = ended;
    if (this.#connection !== undefined) {
      this.#leave(this.#connection);
    }
    this.#connection = undefined;
    this.#timeout?.cancel();
    this.#attachment.end(cause);
    this.#queue.rejectAll(ended);
    this.#failAll(causeOf, ended);
    this.onEnded(this);
  }
}

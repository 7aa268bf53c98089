import type { ClientContext } from '../client/client-context.js';
import { ConnectionError, RequestTimeoutError, toWireError, WireClosedError } from '../client/client.errors.js';
import { wholeNumber } from '../client/client.options.js';
import { type Attachable, Attachment } from '../connection/attachment.js';
import { BrokerRefusedError, endsAttachment, REFUSAL } from '../connection/broker-error.js';
import type { Connection } from '../connection/connection.js';
import type { ConsumerPort } from '../connection/ports.js';
import { Retries } from '../connection/retry.js';
import type { CommandInput } from '../protocol/command/commands.js';
import { ACK_TYPE } from '../protocol/command/enumerations.js';
import { decodeEntry, type Entry } from '../protocol/entry/entry.js';
import type { MessageHeader } from '../protocol/frame/hot-commands.js';
import type { IntakeSlab } from '../protocol/frame/intake-slab.js';
import type { MessageId } from '../protocol/message-id/message-id.js';
import { parseTopicName } from '../protocol/topic/topic-name.js';
import { CorruptEntryError, type WireError } from '../pulsar-wire.errors.js';
import { AckBook } from './ack-book.js';
import { AckQueue } from './ack-queue.js';
import { AckTimeouts } from './ack-timeouts.js';
import { endOf, idData, seekCommand, sendAck, startOf, subscribeCommand } from './consumer-commands.js';
import type { ConsumerOptions } from './consumer.options.js';
import { chunkRefusal } from './chunk.js';
import { CursorPlace, type SeekTarget } from './cursor-place.js';
import { type DeliveryPort, DeliveryQueue } from './delivery-queue.js';
import { EntryReader } from './entry-reader.js';
import type { HandedOutId } from './handed-out-id.js';
import type { PartitionConsumer, PartitionListener } from './partitioned-consumer.js';
import type { ReceivedMessage } from './received-message.js';
import { LISTENER_FAILED_DELAY_MS, nackDelayMs, RedeliveryTimers } from './redelivery-timers.js';
import { SkippedEntries, type SkippedEntriesPort } from './skipped-entries.js';
import type { TopicEnd } from './topic-end.js';

/** A consumer on one topic that is not partitioned, or on one partition. */
export class TopicConsumer implements PartitionConsumer, Attachable, ConsumerPort {
  readonly topic: string;
  readonly subscription: string;
  readonly #id: number;
  readonly #attachment: Attachment;
  readonly #retries = new Retries();
  readonly #queue: DeliveryQueue;
  readonly #place: CursorPlace;
  readonly #skipped: SkippedEntries | undefined;
  readonly #reader: EntryReader;
  readonly #acks: AckQueue;
  readonly #book: AckBook;
  readonly #timers: RedeliveryTimers;
  readonly #timeouts: AckTimeouts | undefined;
  readonly #ordered: boolean;
  #connection: Connection | undefined;
  /** Counts redeliveries of everything: what an ordered subscription sent before the last one is stale. */
  #epoch = 0;
  /** Between a seek and the new registration everything received is stale. */
  #seeking = false;
  #closing: Promise<void> | undefined;
  #ended: WireError | undefined;

  constructor(
    private readonly context: ClientContext,
    private readonly options: ConsumerOptions,
    topic: string,
    private readonly listener: PartitionListener,
    private readonly onEnded: (consumer: TopicConsumer) => void,
  ) {
    this.topic = topic;
    this.subscription = options.subscription;
    this.#id = context.nextId();
    const type = options.type ?? 'Exclusive';
    this.#ordered = type === 'Exclusive' || type === 'Failover';
    this.#queue = new DeliveryQueue(options.prefetchBytes, this.#delivery());
    this.#place = new CursorPlace(context.clock, options.durable ?? true, startOf(options));
    this.#reader = new EntryReader({
      topic,
      partition: parseTopicName(topic).partition,
      payloads: options.payloads ?? 'view',
    });
    this.#acks = new AckQueue(options.batchIndexAck ?? true);
    this.#timers = new RedeliveryTimers(context.clock, (ids) => this.#redeliver(ids));
    this.#timeouts = AckTimeouts.of(context.clock, options.ackTimeoutMs, (ids) => this.#redeliver(ids));
    this.#attachment = new Attachment(context, this);
    this.#skipped = this.#ordered ? new SkippedEntries(this.#redelivery()) : undefined;
    this.#book = new AckBook(options, this.#acks, this.#reader, this.#timeouts, this.#skipped);
  }

  /** Messages received and not handed out: what a batch brought beyond the permits. */
  get queued(): number {
    return this.#queue.size;
  }

  /** Subscribes. @throws {@link WireError} */
  async open(): Promise<void> {
    try {
      await this.#attachment.start();
    } catch (error) {
      this.#end(toWireError(error));
      throw error;
    }
  }

  permit(count: number): void {
    this.#queue.permit(wholeNumber('permit', count, 1, 0x7fff_ffff));
  }

  handOut(): void {
    this.#queue.drain();
  }

  ack(id: HandedOutId): Promise<void> {
    return this.#book.ack(id);
  }

  ackCumulative(id: HandedOutId): Promise<void> {
    return this.#book.ackCumulative(id);
  }

  nack(id: HandedOutId, delayMs = nackDelayMs(this.options.nackBackoff, id.redeliveryCount)): void {
    if (this.#ended === undefined && this.#closing === undefined) {
      this.#timeouts?.remove(id);
      this.#timers.add(id, delayMs);
    }
  }

  redeliverUnacknowledged(): void {
    if (this.#skipped?.isEmpty === true) {
      // What comes from now on comes for the first time since the broker began with what is unacknowledged.
      return;
    }
    this.#clearTimers();
    this.#reader.reset();
    this.#queue.clear();
    this.#skipped?.givenBack();
    this.#epoch++;
    this.#connection?.send('redeliverUnacknowledgedMessages', {
      consumerId: this.#id,
      messageIds: [],
      consumerEpoch: this.#ordered ? this.#epoch : undefined,
    });
    this.#queue.drain();
  }

  async seek(target: SeekTarget): Promise<void> {
    const connection = this.#connected();
    this.#seeking = true;
    this.#skipped?.sought();
    // An acknowledgement that arrives behind the seek would move the cursor past what was sought.
    this.#acks.discard(new WireClosedError('consumer', { ambiguous: true }));
    this.#clearTimers();
    this.#reader.reset();
    this.#queue.clear();
    try {
      await connection.request('seek', (requestId) => seekCommand(this.#id, requestId, target), 'success');
      this.#place.sought(target);
    } catch (error) {
      if (this.#connection === connection) {
        // The broker has kept the registration, to which it does not send again what was thrown away here.
        this.#registerAnew(connection, error);
      }
      throw error;
    } finally {
      // The broker took the registration away before it answered; where it did not, what it sends now is what was sought.
      this.#seeking = false;
      this.#queue.drain();
    }
  }

  async lastMessageIds(): Promise<readonly MessageId[]> {
    return (await this.ends()).map(({ last }) => last);
  }

  async ends(): Promise<readonly TopicEnd[]> {
    return [await this.#retries.run(this.context, `end of ${this.topic}`, () => this.#endOfTopic())];
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async unsubscribe(): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) {
      throw this.#ended ?? new WireClosedError('consumer');
    }
    try {
      await connection.request('unsubscribe', (requestId) => ({ consumerId: this.#id, requestId }), 'success');
    } catch (error) {
      // Another consumer is connected: trying again would not change it, whatever the code usually means.
      throw BrokerRefusedError.is(error, REFUSAL.Metadata)
        ? new BrokerRefusedError('unsubscribe', error.number, error.answer, { kind: 'permanent' })
        : error;
    }
    connection.removeConsumer(this.#id, this);
    this.#connection = undefined;
    this.#end(new WireClosedError('consumer'));
  }

  async attach(connection: Connection): Promise<void> {
    this.#forgetReceived();
    connection.addConsumer(this.#id, this);
    try {
      await connection.request('subscribe', (requestId) => this.#subscribing(requestId), 'success');
    } catch (error) {
      if (RequestTimeoutError.is(error)) {
        // It may be registered a moment later, with nobody to receive.
        this.#leave(connection);
      }
      connection.removeConsumer(this.#id, this);
      throw error;
    }
    if (this.#ended !== undefined) {
      // Closed in the meantime: nobody else would free its place on the subscription.
      this.#leave(connection);
      throw this.#ended;
    }
    this.#connection = connection;
    this.#seeking = false;
    this.#acks.attached((ackType, positions) => sendAck(connection, this.#id, ackType, positions));
    const permits = this.#queue.allowed;
    this.#queue.drain();
    this.context.emit({ type: 'consumer-attached', topic: this.topic, permits });
  }

  detached(cause: unknown): void {
    this.#connection = undefined;
    this.#acks.detached();
    this.#clearTimers();
    this.#forgetReceived();
    this.context.emit({ type: 'consumer-detached', topic: this.topic, cause });
  }

  failed(cause: WireError): void {
    this.#end(cause);
    this.#tell(() => this.listener.onClosed(cause));
  }

  isFinal(cause: WireError): boolean {
    return endsAttachment(cause);
  }

  onGone(connection: Connection, cause: unknown, brokerUrl?: string): void {
    // Nothing that was received through the old registration may be handed out any more, even before the next one exists.
    this.#attachment.lost(connection, cause, brokerUrl);
  }

  onActiveChange(isActive: boolean): void {
    this.#skipped?.activeChanged(isActive);
    this.#tell(() => this.listener.onActiveChange?.(isActive));
  }

  onEndOfTopic(): void {
    this.#tell(() => this.listener.onEndOfTopic?.());
  }

  onEntry(header: MessageHeader, bytes: Buffer, start: number, end: number, memory?: IntakeSlab): void {
    let entry: Entry;
    try {
      entry = decodeEntry(bytes, start, end);
    } catch (error) {
      this.#queue.charged(1);
      if (!this.#comesTooEarly(header)) {
        this.#dropCorrupt(header, error);
      }
      return;
    }
    this.#attachment.proven();
    this.#queue.charged(this.#reader.charged(header, entry));
    if (!this.#comesTooEarly(header) && !this.#isForOthers(header, entry)) {
      try {
        const maxBytes = this.#connection?.maxMessageBytes ?? 0;
        const { messages, settled } = this.#reader.read(header, entry, maxBytes, this.#place.after, memory);
        for (const message of messages) {
          if (!this.#place.isTooEarly(message)) {
            this.#queue.push(message);
          }
        }
        if (settled) {
          this.#acknowledge(header);
        } else {
          this.#skipped?.hold(messages[0]?.id);
        }
      } catch (error) {
        this.#dropCorrupt(header, error);
      }
    }
    this.#queue.drain();
  }

  /** It was sent before everything was given back or sought, or entries in front of it were skipped: it comes again. */
  #comesTooEarly(header: MessageHeader): boolean {
    const stale = this.#seeking || (this.#ordered && (header.consumerEpoch ?? this.#epoch) < this.#epoch);
    return stale || this.#skipped?.precede(header) === true;
  }

  /** Entries that no application may see. */
  #isForOthers(header: MessageHeader, { metadata }: Entry): boolean {
    const refusal = chunkRefusal(metadata);
    if (refusal !== undefined) {
      this.#report(header, refusal);
    }
    return refusal !== undefined || metadata.markerType !== undefined;
  }

  #dropCorrupt(header: MessageHeader, error: unknown): void {
    if (!(error instanceof CorruptEntryError)) {
      throw error;
    }
    this.#report(header, error);
    this.#connection?.send('ack', {
      consumerId: this.#id,
      ackType: ACK_TYPE.individual,
      messageIds: [idData(header)],
      validationError: error.validationError,
    });
    this.#queue.drain();
  }

  #report({ ledgerId, entryId }: MessageHeader, cause: unknown): void {
    this.context.emit({ type: 'entry-dropped', topic: this.topic, entry: `${ledgerId}:${entryId}`, cause });
  }

  #acknowledge(header: MessageHeader): void {
    // Nobody waits for it; the message comes again when it fails.
    this.#acks.addSingle(header.ledgerId, header.entryId).catch((cause: unknown) => this.#report(header, cause));
  }

  #handOut(message: ReceivedMessage): void {
    this.#place.handedOut(message.id);
    this.#timeouts?.add(message.id);
    // Not by `#tell`, which takes a closure for each message.
    try {
      this.listener.onMessage(message);
    } catch (cause) {
      this.context.emit({ type: 'listener-failed', topic: this.topic, cause });
      this.nack(message.id, LISTENER_FAILED_DELAY_MS);
    }
  }

  /** What the application throws is its own: it must not end the connection of its neighbours. */
  #tell(call: () => void): void {
    try {
      call();
    } catch (cause) {
      this.context.emit({ type: 'listener-failed', topic: this.topic, cause });
    }
  }

  #redeliver(ids: readonly HandedOutId[]): void {
    if (this.#ordered) {
      return this.redeliverUnacknowledged();
    }
    this.#connection?.send('redeliverUnacknowledgedMessages', {
      consumerId: this.#id,
      messageIds: this.#reader.giveBack(ids).map((id) => idData(id)),
    });
  }

  #delivery(): DeliveryPort {
    return {
      isTaking: () => this.#closing === undefined && this.listener.isReady?.() !== false,
      handOut: (message) => this.#handOut(message),
      isAsking: () => this.#connection !== undefined && this.#closing === undefined && !this.#seeking,
      ask: (messagePermits) => this.#connection?.send('flow', { consumerId: this.#id, messagePermits }),
    };
  }

  #redelivery(): SkippedEntriesPort {
    return {
      clock: this.context.clock,
      isReceiving: () => this.#connection !== undefined && this.#closing === undefined && this.#queue.isAwaiting,
      end: () => this.#endOfTopic(),
      onSkipped: (again, cause) => {
        this.context.emit({ type: 'entries-skipped', topic: this.topic, cause });
        if (again === 'registerAnew' && this.#connection !== undefined) {
          this.#registerAnew(this.#connection, cause);
        } else {
          this.redeliverUnacknowledged();
        }
      },
    };
  }

  async #endOfTopic(): Promise<TopicEnd> {
    return endOf(this.#connected(), this.#id, parseTopicName(this.topic).partition);
  }

  #connected(): Connection {
    if (this.#ended !== undefined || this.#closing !== undefined) {
      throw this.#ended ?? new WireClosedError('consumer');
    }
    if (this.#connection === undefined) {
      throw new ConnectionError(`the broker of ${this.topic}`, 'is being made anew');
    }
    return this.#connection;
  }

  #subscribing(requestId: number): CommandInput<'subscribe'> {
    return subscribeCommand(this.options, {
      topic: this.topic,
      consumerId: this.#id,
      requestId,
      place: this.#place.subscribed(),
      consumerEpoch: this.#ordered ? this.#epoch : undefined,
    });
  }

  #forgetReceived(): void {
    this.#skipped?.reset();
    this.#queue.detached();
    this.#reader.reset();
  }

  #clearTimers(): void {
    this.#timers.clear();
    this.#timeouts?.clear();
  }

  async #close(): Promise<void> {
    this.#clearTimers();
    this.#queue.clear();
    if (this.#connection !== undefined) {
      // With a broker that does not come back they would be on their way for ever.
      const limit = this.context.clock.setTimer(this.context.operationTimeoutMs, () =>
        this.#end(new WireClosedError('consumer', { ambiguous: true })),
      );
      await this.#acks.settle();
      limit.cancel();
    }
    // Another one perhaps than before: the acknowledgements may have waited for it.
    const connection = this.#connection;
    if (connection !== undefined && this.#ended === undefined) {
      try {
        await connection.request('closeConsumer', (requestId) => ({ consumerId: this.#id, requestId }), 'success');
      } catch (cause) {
        // The connection is gone or the broker is silent: it has forgotten the consumer or will.
        this.context.emit({ type: 'consumer-detached', topic: this.topic, cause });
      }
      connection.removeConsumer(this.#id, this);
      this.#connection = this.#connection === connection ? undefined : this.#connection;
    }
    this.#end(new WireClosedError('consumer'));
  }

  /** Frees its place on the subscription, without waiting for the answer. */
  #leave(connection: Connection): void {
    connection.removeConsumer(this.#id, this);
    connection.send('closeConsumer', { consumerId: this.#id, requestId: this.context.nextId() });
  }

  #registerAnew(connection: Connection, cause: unknown): void {
    this.#leave(connection);
    this.#attachment.lost(connection, cause);
  }

  #end(cause: WireError): void {
    if (this.#ended !== undefined) {
      return;
    }
    this.#ended = cause;
    if (this.#connection !== undefined) {
      this.#leave(this.#connection);
    }
    this.#connection = undefined;
    this.#clearTimers();
    this.#forgetReceived();
    this.#attachment.end(cause);
    this.#retries.end(cause);
    this.#acks.end(cause);
    this.onEnded(this);
  }
}

import type { Clock, Timer } from '../client/time.js';
import { toWireError } from '../client/client.errors.js';
import { BatchWriter } from '../protocol/batch/batch-writer.js';
import { COMPRESSION, type CompressionName } from '../protocol/compression/compression.js';
import { Compressor } from '../protocol/compression/compressor.js';
import { SendFrameEncoder } from '../protocol/frame/send-frame.js';
import type { FlushGeneration } from './flush-generations.js';
import type { FrameMemory } from './frame-memory.js';
import { type PendingFrame, type Sender, Senders } from './pending-frames.js';
import type { KeyedBatching, WireMessage } from './producer.options.js';

/** How {@link Batcher} puts messages together. */
export interface BatcherOptions {
  readonly enabled: boolean;
  readonly maxMessages: number;
  readonly maxBytes: number;
  readonly maxDelayMs: number;
  readonly keyed: KeyedBatching;
  readonly compression: CompressionName;
}

/** What a frame carries of its producer. */
export interface FrameOrigin {
  readonly producerId: number;
  readonly producerName: string;
  readonly maxMessageBytes: number;
  /** Of the declared schema. */
  readonly schemaVersion: Uint8Array | undefined;
}

interface OpenBatch {
  readonly writer: BatchWriter;
  /** Of the entry. Those of its first message where the keys are mixed. */
  key: string | undefined;
  orderingKey: Uint8Array | undefined;
  senders: Senders;
  acceptedAtMs: number;
  /** Of the first message, when the application chose it. */
  firstId: bigint | undefined;
  lastId: bigint;
  /** It is among those that {@link Batcher.sealAll} looks at. */
  isListed: boolean;
}

/** Keys whose batch is kept for reuse, once it was sent: some 256 KiB. */
const MAX_KEPT_KEYS = 1_024;
/** Bytes that a batch begins with: of one key there are few messages at a time. */
const SHARED_BYTES = 4_096;
const KEYED_BYTES = 1_024;

/**
 * Makes SEND frames out of messages: batches by count, bytes and time, one open batch per key, or one for all.
 *
 * Deduplication looks at the first sequence id of a frame and drops the frame as a whole. So ids rise from frame to frame in the order in
 * which frames are sealed, and a message whose id the broker may already know never shares a batch with a new one.
 */
export class Batcher {
  readonly #byKey = new Map<string, OpenBatch>();
  readonly #byOrderingKey = new Map<string, OpenBatch>();
  /** Those with messages, and perhaps some that were sent meanwhile, by their first message. */
  #open: OpenBatch[] = [];
  readonly #frames: SendFrameEncoder;
  readonly #compressor = new Compressor();
  readonly #compression: number;
  /** Of messages whose key does not matter. */
  #shared: OpenBatch | undefined;
  #nextId = 0n;
  #linger: Timer | undefined;
  #turnScheduled = false;
  #refused: Senders[] = [];

  constructor(
    private readonly options: BatcherOptions,
    private readonly clock: Clock,
    private readonly memory: FrameMemory,
    private readonly origin: () => FrameOrigin,
    private readonly onFrame: (frame: PendingFrame) => void,
    private readonly onRefused: (senders: Senders) => void,
  ) {
    this.#compression = COMPRESSION[options.compression];
    this.#frames = new SendFrameEncoder(memory.take);
  }

  /** When the oldest message that waits for company was accepted; undefined when none does. */
  get oldestMs(): number | undefined {
    let oldest: number | undefined;
    for (const batch of this.#open) {
      if (batch.senders.count > 0 && (oldest === undefined || batch.acceptedAtMs < oldest)) {
        oldest = batch.acceptedAtMs;
      }
    }
    return oldest;
  }

  /** The broker's last sequence id for this name: messages up to it are repetitions, new ones count on from it. */
  begin(lastSequenceId: bigint): void {
    this.#nextId = lastSequenceId + 1n;
  }

  add(message: WireMessage, sender: Sender): void {
    this.#add(message, sender);
    this.#giveRoomBack();
  }

  #add(message: WireMessage, sender: Sender): void {
    const { sequenceId } = message;
    const { enabled, keyed } = this.options;
    const isApart = keyed !== 'mixed' && (message.key !== undefined || message.orderingKey !== undefined);
    const alone =
      !enabled ||
      message.deliverAtMs !== undefined ||
      (isApart && (keyed === 'single' || sequenceId !== undefined)) ||
      this.#isKnown(sequenceId);
    let batch = alone ? undefined : this.#batchFor(message, isApart);
    if (batch === undefined || !this.#joins(batch, sequenceId, sender.generation)) {
      // What was accepted before must be stored before.
      this.#sealAll();
      // Only now, since that may forget a batch, or have sent the same id.
      batch = alone || this.#isKnown(sequenceId) ? undefined : this.#batchFor(message, isApart);
    }
    if (batch === undefined) {
      this.#sealAlone(message, sender);
      return;
    }
    try {
      if (!batch.writer.tryAdd(message)) {
        this.#seal(batch);
        batch.writer.tryAdd(message);
      }
    } catch (error) {
      this.#refuse(sendersOf(sender), error);
      return;
    }
    if (batch.senders.count === 0) {
      batch.acceptedAtMs = this.clock.monotonic();
      batch.firstId = sequenceId;
      batch.key = message.key;
      batch.orderingKey = message.orderingKey;
      if (!batch.isListed) {
        batch.isListed = true;
        this.#open.push(batch);
      }
    }
    batch.lastId = sequenceId ?? -1n;
    batch.senders.add(sender);
    if (batch.senders.count >= this.options.maxMessages || batch.writer.bytes >= this.options.maxBytes) {
      this.#seal(batch);
    } else {
      this.#armLinger();
    }
  }

  /** Everything that waits for company goes as it is. */
  sealAll(): void {
    this.#sealAll();
    this.#giveRoomBack();
  }

  #sealAll(): void {
    this.#linger?.cancel();
    this.#linger = undefined;
    const batches = this.#open;
    this.#open = [];
    for (const batch of batches) {
      batch.isListed = false;
      this.#seal(batch);
    }
    if (this.#byKey.size + this.#byOrderingKey.size > MAX_KEPT_KEYS) {
      this.#forgetBatches();
    }
  }

  /** Everything that waits for company is given up. */
  takeOpen(): readonly Senders[] {
    this.#linger?.cancel();
    this.#linger = undefined;
    const open: Senders[] = [];
    for (const batch of this.#open) {
      if (batch.senders.count > 0) {
        open.push(batch.senders);
      }
    }
    this.#forgetBatches();
    return open;
  }

  #forgetBatches(): void {
    this.#open = [];
    this.#byKey.clear();
    this.#byOrderingKey.clear();
    this.#shared = undefined;
  }

  /** The broker may have it already. */
  #isKnown(sequenceId: bigint | undefined): boolean {
    return sequenceId !== undefined && sequenceId < this.#nextId;
  }

  /** Chosen ids rise within a batch, and are never beside ids that are counted on. What a flush waits for is a batch of its own. */
  #joins(batch: OpenBatch, sequenceId: bigint | undefined, generation: FlushGeneration): boolean {
    if (batch.senders.count === 0) {
      // A chosen id goes by the order of the calls: no other batch may be sealed behind it.
      return sequenceId === undefined;
    }
    if (batch.senders.generation !== generation) {
      return false;
    }
    return sequenceId === undefined
      ? batch.firstId === undefined
      : batch.firstId !== undefined && sequenceId > batch.lastId;
  }

  #batchFor({ key, orderingKey }: WireMessage, isApart: boolean): OpenBatch {
    if (!isApart) {
      return (this.#shared ??= this.#newBatch(SHARED_BYTES));
    }
    // Where there is an ordering key, that decides.
    return orderingKey === undefined
      ? this.#known(this.#byKey, key ?? '')
      : this.#known(this.#byOrderingKey, textOf(orderingKey));
  }

  #known(batches: Map<string, OpenBatch>, name: string): OpenBatch {
    let batch = batches.get(name);
    if (batch === undefined) {
      batch = this.#newBatch(KEYED_BYTES);
      batches.set(name, batch);
    }
    return batch;
  }

  #newBatch(initialBytes: number): OpenBatch {
    return {
      // A broker may take less than what the option allows.
      writer: new BatchWriter(
        Math.min(this.options.maxBytes, this.origin().maxMessageBytes),
        initialBytes,
        this.memory.take,
        (bytes) => this.memory.giveBack(bytes),
      ),
      key: undefined,
      orderingKey: undefined,
      senders: new Senders(),
      acceptedAtMs: 0,
      firstId: undefined,
      lastId: -1n,
      isListed: false,
    };
  }

  #armLinger(): void {
    if (this.#linger !== undefined || this.#turnScheduled) {
      return;
    }
    if (this.options.maxDelayMs > 0) {
      this.#linger = this.clock.setTimer(this.options.maxDelayMs, () => this.sealAll());
      return;
    }
    // Not a timer of 0 ms, which takes 1 ms: the end of this turn, so that a loop of sends still makes a batch.
    this.#turnScheduled = true;
    setImmediate(() => {
      this.#turnScheduled = false;
      this.sealAll();
    });
  }

  #seal(batch: OpenBatch): void {
    const { senders } = batch;
    const { count } = senders;
    if (count === 0) {
      return;
    }
    const sequenceId = batch.firstId ?? this.#nextId;
    const highestSequenceId = batch.firstId === undefined ? sequenceId + BigInt(count - 1) : batch.lastId;
    const origin = this.origin();
    batch.senders = new Senders();
    let bytes: Buffer;
    try {
      bytes = batch.writer.finish(
        this.#frames,
        {
          producerId: origin.producerId,
          sequenceId,
          highestSequenceId,
          metadata: {
            producerName: origin.producerName,
            sequenceId,
            highestSequenceId,
            publishTimeMs: Math.floor(this.clock.now()),
            schemaVersion: origin.schemaVersion,
            // Key_Shared looks at the entry alone.
            partitionKey: batch.key,
            orderingKey: batch.orderingKey,
          },
        },
        origin.maxMessageBytes,
        this.#compressor,
        this.#compression,
      );
    } catch (error) {
      this.#refuse(senders, error);
      return;
    }
    this.#advance(highestSequenceId);
    const { acceptedAtMs } = batch;
    this.onFrame({
      bytes,
      sequenceId,
      highestSequenceId,
      batched: true,
      senders,
      acceptedAtMs,
      repeatsId: false,
      written: 'no',
    });
  }

  #sealAlone(message: WireMessage, sender: Sender): void {
    const origin = this.origin();
    const sequenceId = message.sequenceId ?? this.#nextId;
    const repeatsId = this.#isKnown(sequenceId);
    const senders = sendersOf(sender);
    let bytes: Buffer;
    try {
      const payload = message.payload ?? EMPTY;
      // Nothing to compress, and the official C++ client discards an entry of zlib that says it is empty.
      const compression = payload.length === 0 ? COMPRESSION.none : this.#compression;
      bytes = this.#frames.encode(
        {
          producerId: origin.producerId,
          sequenceId,
          numMessages: 1,
          metadata: {
            producerName: origin.producerName,
            sequenceId,
            publishTimeMs: Math.floor(this.clock.now()),
            schemaVersion: origin.schemaVersion,
            properties: message.properties,
            partitionKey: message.key,
            orderingKey: message.orderingKey,
            eventTimeMs: message.eventTimeMs,
            deliverAtTimeMs: message.deliverAtMs,
            nullValue: message.payload === null ? true : undefined,
            uncompressedSize: payload.length,
            compression: compression === COMPRESSION.none ? undefined : compression,
          },
        },
        this.#compressor.compress(compression, payload),
        origin.maxMessageBytes,
      );
    } catch (error) {
      this.#refuse(senders, error);
      return;
    }
    this.#advance(sequenceId);
    const acceptedAtMs = this.clock.monotonic();
    const highestSequenceId = sequenceId;
    this.onFrame({
      bytes,
      sequenceId,
      highestSequenceId,
      batched: false,
      senders,
      acceptedAtMs,
      repeatsId,
      written: 'no',
    });
  }

  #refuse(senders: Senders, error: unknown): void {
    senders.rejectAll(toWireError(error));
    this.#refused.push(senders);
  }

  /** At the end of a call only: whoever waits for room comes in at once, and must find no batch half done. */
  #giveRoomBack(): void {
    if (this.#refused.length > 0) {
      const refused = this.#refused;
      this.#refused = [];
      refused.forEach(this.onRefused);
    }
  }

  #advance(highestSequenceId: bigint): void {
    if (highestSequenceId >= this.#nextId) {
      this.#nextId = highestSequenceId + 1n;
    }
  }
}

function sendersOf(sender: Sender): Senders {
  const senders = new Senders();
  senders.add(sender);
  return senders;
}

const EMPTY: Uint8Array = new Uint8Array(0);

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

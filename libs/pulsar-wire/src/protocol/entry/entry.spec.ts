import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatchAckSet, isPending } from '../batch/batch-ack-set.js';
import { type BatchedMessage, BatchReader } from '../batch/batch-reader.js';
import { type BatchMessage, BatchWriter } from '../batch/batch-writer.js';
import { ByteReader } from '../bytes/byte-reader.js';
import { ByteWriter } from '../bytes/byte-writer.js';
import { findCommand } from '../command/command-codec.js';
import { COMPRESSION } from '../compression/compression.js';
import { Compressor } from '../compression/compressor.js';
import { SendFrameEncoder } from '../frame/send-frame.js';
import { type MessageMetadataInput, readMessageMetadata, writeMessageMetadata } from '../metadata/metadata-codec.js';
import { MESSAGE_METADATA, SINGLE_MESSAGE_METADATA } from '../metadata/metadata.tables.js';
import { readMessage, writeMessage } from '../table/table-codec.js';
import { CorruptEntryError, MessageTooLargeError } from '../../pulsar-wire.errors.js';
import { messageFrame, storedEntryOf } from '../../testing/index.js';
import { decodeEntry, payloadOf } from './entry.js';

const LIMIT = 1_000_000;
const text = fc.string({ unit: 'grapheme', maxLength: 80 });
const option = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined });
const i64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });

const metadatas: fc.Arbitrary<MessageMetadataInput> = fc.record({
  producerName: text,
  sequenceId: i64,
  publishTimeMs: fc.maxSafeNat(),
  properties: option(fc.dictionary(text, text, { maxKeys: 4 })),
  partitionKey: option(text),
  eventTimeMs: option(fc.maxSafeInteger()),
  schemaVersion: option(fc.uint8Array({ maxLength: 20 })),
  partitionKeyB64Encoded: option(fc.boolean()),
  orderingKey: option(fc.uint8Array({ maxLength: 200 })),
  deliverAtTimeMs: option(fc.maxSafeInteger()),
  highestSequenceId: option(i64),
  nullValue: option(fc.boolean()),
  nullPartitionKey: option(fc.boolean()),
  // Rare: through the table.
  uuid: fc.option(text, { nil: undefined, freq: 1 }),
  chunkId: fc.option(fc.nat(), { nil: undefined, freq: 1 }),
  txnLeastBits: fc.option(i64, { nil: undefined, freq: 1 }),
});

const messages: fc.Arbitrary<BatchMessage> = fc.record({
  payload: fc.option(fc.uint8Array({ maxLength: 500 }), { nil: null }),
  key: option(text),
  keyIsBase64: option(fc.boolean()),
  orderingKey: option(fc.uint8Array({ maxLength: 20 })),
  properties: option(fc.dictionary(text, text, { maxKeys: 4 })),
  eventTimeMs: option(fc.maxSafeInteger()),
  sequenceId: option(i64),
});

function delivered(frame: Buffer, options?: Parameters<typeof messageFrame>[2]): { bytes: Buffer; entryStart: number } {
  const stored = storedEntryOf(frame, 4, frame.length);
  const bytes = messageFrame(
    { consumerId: 1, messageId: { ledgerId: 1n, entryId: 2n, ackSet: new Int32Array(0) } },
    stored,
    options,
  );
  return { bytes, entryStart: findCommand(bytes, 4, bytes.length).commandEnd };
}

function all(reader: BatchReader): BatchedMessage[] {
  const list: BatchedMessage[] = [];
  for (let message = reader.next(); message !== undefined; message = reader.next()) {
    list.push(message);
  }
  return list;
}

describe('an entry', () => {
  it('arrives as it was sent, with or without checksum and broker metadata', () => {
    const encoder = new SendFrameEncoder();
    fc.assert(
      fc.property(
        metadatas,
        fc.uint8Array({ maxLength: 600 }),
        fc.boolean(),
        option(fc.maxSafeNat()),
        (metadata, payload, checksum, index) => {
          const frame = encoder.encode({ producerId: 1, sequenceId: metadata.sequenceId, metadata }, payload, LIMIT);
          const brokerEntry = index === undefined ? undefined : { index, brokerTimestampMs: 5 };
          const { bytes, entryStart } = delivered(frame, { checksum, ...(brokerEntry && { brokerEntry }) });
          const entry = decodeEntry(bytes, entryStart, bytes.length);
          expect(entry.brokerEntry).toEqual(brokerEntry);
          expect(entry.payload.equals(payload)).toBe(true);
          expect(entry.metadata).toEqual({
            properties: {},
            ...withoutAbsent(metadata),
            encryptionKeys: [],
            replicateTo: [],
            compactedBatchIndexes: [],
          });
        },
      ),
    );
  });

  it('has the same metadata by hand as by the table', () => {
    fc.assert(
      fc.property(metadatas, (metadata) => {
        const hand = new ByteWriter(1);
        writeMessageMetadata(hand, metadata);
        const table = new ByteWriter(1);
        writeMessage(table, MESSAGE_METADATA, metadata);
        const bytes = hand.take();
        expect(bytes).toEqual(table.take());
        expect(readMessageMetadata(bytes, 0, bytes.length)).toEqual(
          readMessage(new ByteReader(bytes), MESSAGE_METADATA),
        );
      }),
    );
  });

  it('is refused by its checksum when any byte behind it changed', () => {
    const metadata = { producerName: 'p', sequenceId: 1n, publishTimeMs: 1 };
    const frame = new SendFrameEncoder().encode(
      { producerId: 1, sequenceId: 1n, metadata },
      Buffer.from('payload'),
      LIMIT,
    );
    const { bytes, entryStart } = delivered(frame);
    for (let at = entryStart + 2; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 0x40;
      expect(() => decodeEntry(damaged, entryStart, damaged.length)).toThrow(
        expect.objectContaining({ defect: 'checksum', validationError: 2 }),
      );
    }
  });

  it('throws a typed error, and nothing else, on random and truncated bytes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 120 }),
        fc.constantFrom([], [0x0e, 0x01], [0x0e, 0x02]),
        (noise, magic) => {
          const bytes = Buffer.from([...magic, ...noise]);
          try {
            payloadOf(decodeEntry(bytes, 0, bytes.length), LIMIT);
          } catch (error) {
            if (!CorruptEntryError.is(error)) {
              throw error;
            }
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('is refused before anything is allocated when it announces more than the limit', () => {
    const metadata = {
      producerName: 'p',
      sequenceId: 1n,
      publishTimeMs: 1,
      compression: COMPRESSION.lz4,
      uncompressedSize: 0xffff_ffff,
    };
    const frame = new SendFrameEncoder().encode({ producerId: 1, sequenceId: 1n, metadata }, Buffer.from([0]), LIMIT);
    const { bytes, entryStart } = delivered(frame);
    expect(() => payloadOf(decodeEntry(bytes, entryStart, bytes.length), LIMIT)).toThrow(
      expect.objectContaining({ defect: 'size' }),
    );
  });

  it('is never made larger than the broker takes, by its payload or by its metadata', () => {
    const metadata = { producerName: 'p', sequenceId: 1n, publishTimeMs: 1 };
    const encoder = new SendFrameEncoder();
    expect(() => encoder.encode({ producerId: 1, sequenceId: 1n, metadata }, new Uint8Array(1_001), 1_000)).toThrow(
      MessageTooLargeError,
    );
    const large = { ...metadata, properties: { a: 'x'.repeat(20_000) } };
    expect(() => encoder.encode({ producerId: 1, sequenceId: 1n, metadata: large }, new Uint8Array(1), 1_000)).toThrow(
      MessageTooLargeError,
    );
    expect(encoder.encode({ producerId: 1, sequenceId: 1n, metadata }, new Uint8Array(1_000), 1_000)).toBeInstanceOf(
      Buffer,
    );
  });
});

describe('a batch', () => {
  it.each(Object.values(COMPRESSION))(
    'arrives message by message as it was put together (compression %i)',
    (compression) => {
      const compressor = new Compressor();
      fc.assert(
        fc.property(fc.array(messages, { minLength: 1, maxLength: 12 }), (list) => {
          const writer = new BatchWriter(LIMIT, 16);
          expect(list.every((message) => writer.tryAdd(message))).toBe(true);
          const size = writer.bytes;
          const header = {
            producerId: 1,
            sequenceId: 1n,
            metadata: { producerName: 'p', sequenceId: 1n, publishTimeMs: 1 },
          };
          const frame = writer.finish(new SendFrameEncoder(), header, LIMIT, compressor, compression);
          expect(writer.count).toBe(0);
          const { bytes, entryStart } = delivered(frame);
          const entry = decodeEntry(bytes, entryStart, bytes.length);
          expect(entry.metadata).toMatchObject({ numMessagesInBatch: list.length, uncompressedSize: size });
          const items = all(new BatchReader(payloadOf(entry, LIMIT), list.length));
          expect(items.map(({ isPlainlyKeyed, plainKey }) => isPlainlyKeyed && plainKey)).toEqual(
            list.map(
              ({ key, keyIsBase64, orderingKey }) => keyIsBase64 === undefined && orderingKey === undefined && key,
            ),
          );
          const read = items.map((message): BatchMessage => ({
            payload: message.isTombstone ? null : new Uint8Array(message.payload),
            key: message.metadata.partitionKey,
            keyIsBase64: message.metadata.partitionKeyB64Encoded,
            orderingKey: message.metadata.orderingKey,
            properties: message.metadata.properties,
            eventTimeMs: message.metadata.eventTimeMs,
            sequenceId: message.metadata.sequenceId,
          }));
          expect(read).toEqual(list.map((message) => ({ ...message, properties: message.properties ?? {} })));
        }),
        { numRuns: 60 },
      );
    },
  );

  it('says of a key that is none at all that its text is not everything', () => {
    const metadata = new ByteWriter();
    writeMessage(metadata, SINGLE_MESSAGE_METADATA, { payloadSize: 0, partitionKey: '', nullPartitionKey: true });
    const size = Buffer.alloc(4);
    size.writeUInt32BE(metadata.position);
    const [message] = all(new BatchReader(Buffer.concat([size, metadata.take()]), 1));
    expect([message?.isPlainlyKeyed, message?.metadata.nullPartitionKey]).toEqual([false, true]);
  });

  it('has room for a header of any size', () => {
    for (const size of [1, 300, 380, 400, 420, 440, 5_000]) {
      const writer = new BatchWriter(LIMIT);
      writer.tryAdd({ payload: Buffer.from('payload') });
      const metadata = { producerName: 'p', sequenceId: 1n, publishTimeMs: 1, partitionKey: 'k'.repeat(size) };
      const frame = writer.finish(new SendFrameEncoder(), { producerId: 1, sequenceId: 1n, metadata }, LIMIT);
      const { bytes, entryStart } = delivered(frame);
      const entry = decodeEntry(bytes, entryStart, bytes.length);
      expect(entry.metadata.partitionKey).toHaveLength(size);
      expect(all(new BatchReader(entry.payload, 1)).map(({ payload }) => String(payload))).toEqual(['payload']);
    }
  });

  it('refuses a message that would make it too large, and keeps what it has', () => {
    const writer = new BatchWriter(100);
    expect(writer.tryAdd({ payload: new Uint8Array(200) })).toBe(true);
    expect(writer.tryAdd({ payload: new Uint8Array(1) })).toBe(false);
    writer.clear();
    expect(writer.tryAdd({ payload: new Uint8Array(60) })).toBe(true);
    const { bytes } = writer;
    expect(writer.tryAdd({ payload: new Uint8Array(30), key: 'k'.repeat(30) })).toBe(false);
    expect(writer.bytes).toBe(bytes);
    expect(writer.count).toBe(1);
  });

  it('is refused when it announces more messages than its bytes can hold', () => {
    expect(() => new BatchReader(Buffer.alloc(60), 11)).toThrow(CorruptEntryError);
    expect(() => new BatchReader(Buffer.alloc(60), -1)).toThrow(CorruptEntryError);
  });

  it('throws a typed error, and nothing else, on random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 12, maxLength: 200 }), (noise) => {
        try {
          for (const message of all(new BatchReader(Buffer.from(noise), 2))) {
            expect(message.payload.length).toBeLessThan(noise.length);
          }
        } catch (error) {
          if (!CorruptEntryError.is(error)) {
            throw error;
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('BatchAckSet', () => {
  it('holds what remains, as the broker writes it', () => {
    const set = new BatchAckSet(10);
    for (const index of [0, 2, 4, 6, 8]) {
      expect(set.acknowledge(index)).toBe(true);
    }
    expect(set.acknowledge(8)).toBe(false);
    expect(set.toBits()).toEqual(Int32Array.of(682, 0));
    expect(new BatchAckSet(10, Int32Array.of(682, 0)).pending).toBe(5);
  });

  it('agrees with a plain set for every size and order', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.array(fc.nat(299)), (size, acknowledged) => {
        const set = new BatchAckSet(size);
        const model = new Set(Array.from({ length: size }, (_, index) => index));
        for (const index of acknowledged) {
          expect(set.acknowledge(index)).toBe(model.delete(index));
        }
        const bits = set.toBits();
        expect(set.pending).toBe(model.size);
        expect(Array.from({ length: size }, (_, index) => index).filter((index) => isPending(bits, index))).toEqual([
          ...model,
        ]);
        expect(bits.length % 2).toBe(0);
      }),
    );
  });
});

function withoutAbsent(record: object): object {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined));
}

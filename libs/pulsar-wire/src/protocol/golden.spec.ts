import { describe, expect, it } from 'vitest';
import {
  type BatchedMessage,
  BatchReader,
  BatchWriter,
  type Command,
  type CommandFields,
  type CommandName,
  COMPRESSION,
  type CompressionName,
  Compressor,
  decodeCommand,
  decodeEntry,
  decodeMessageHeader,
  decodeSendReceipt,
  decompress,
  encodeCommand,
  findCommand,
  javaStringHash,
  MessageId,
  murmur3Hash,
  payloadOf,
  SendFrameEncoder,
} from '../index.js';
// Recorded from the official Java client 4.2.4: what it writes, and what it reads as.
import golden from './golden.fixture.json' with { type: 'json' };

const LIMIT = 5 * 1024 * 1024;
const recorded: Readonly<Record<string, unknown>> = golden;
const frame = (name: string): Buffer => Buffer.from(String(recorded[name]), 'hex');
const commandOf = (bytes: Buffer): Command => {
  const command = decodeCommand(bytes, 4, bytes.length);
  if (command.name === 'unknown') {
    throw new Error(`unknown command ${command.type}`);
  }
  return command;
};
const fieldsOf = <N extends CommandName>(name: N, key: string = name): CommandFields<N> => {
  const command = commandOf(frame(key));
  expect(command.name).toBe(name);
  return command.fields as CommandFields<N>;
};

const PAYLOAD_FRAMES = /^(?:send|sendBatch\..*|message)$/;
const simpleFrames = Object.keys(recorded).filter(
  (key) => !/^(?:connect$|compressed|uncompressed|messageId|keyHashes)/.test(key) && !PAYLOAD_FRAMES.test(key),
);

describe('frames recorded from the Java client', () => {
  it.each(simpleFrames)('writes %s byte for byte as it does', (key) => {
    const { name, fields } = commandOf(frame(key));
    expect(encodeCommand(name, fields).toString('hex')).toBe(recorded[key]);
  });

  it('writes connect with the same fields, of which it puts one out of the order of their numbers', () => {
    const { name, fields } = commandOf(frame('connect'));
    const ours = encodeCommand(name, fields);
    expect(ours).toHaveLength(frame('connect').length);
    expect(commandOf(ours)).toEqual({ name, fields });
  });

  it('reads what it means', () => {
    expect(fieldsOf('connect')).toMatchObject({
      clientVersion: 'golden-1',
      authMethodName: 'token',
      protocolVersion: 21,
      proxyToBrokerUrl: 'broker-1:6650',
      featureFlags: { authRefresh: true, topicWatchers: true },
    });
    expect(fieldsOf('connected')).toMatchObject({ protocolVersion: 21, maxMessageSize: 5_242_880 });
    expect(fieldsOf('producer')).toMatchObject({
      topic: 'persistent://public/default/t-é',
      accessMode: 1,
      topicEpoch: 5n,
      epoch: 2,
      metadata: { a: '1' },
      initialSubscriptionName: 'init-sub',
    });
    expect(fieldsOf('producerSuccess')).toMatchObject({ lastSequenceId: -1n, topicEpoch: 1n, producerReady: true });
    expect(fieldsOf('subscribe')).toMatchObject({
      subscriptionType: 3,
      durable: false,
      initialPosition: 1,
      startMessageId: { ledgerId: -1n, entryId: -1n },
      keySharedMeta: {
        mode: 1,
        hashRanges: [
          { start: 0, end: 100 },
          { start: 200, end: 65_535 },
        ],
      },
      subscriptionProperties: { sp: 'sv' },
      consumerEpoch: 3,
    });
    expect(fieldsOf('ack', 'ackMany').messageIds[1]?.ackSet).toEqual(Int32Array.of(682, 0, -1, -1));
    expect(fieldsOf('ack', 'ackMany').requestId).toBe(77);
    expect(fieldsOf('ack', 'ackCorrupt').validationError).toBe(2);
    expect(fieldsOf('closeConsumer')).toMatchObject({ requestId: -1, assignedBrokerServiceUrl: 'pulsar://b:1' });
    expect(fieldsOf('consumerStatsResponse')).toMatchObject({
      availablePermits: -95,
      msgRateOut: 12.5,
      blockedConsumerOnUnackedMsgs: true,
    });
    expect(fieldsOf('getLastMessageIdResponse').lastMessageId).toMatchObject({ ledgerId: 12n, entryId: -1n });
    expect(fieldsOf('newTxnResponse')).toMatchObject({ txnLeastBits: 0n, txnMostBits: 0n });
    expect(fieldsOf('lookupResponse')).toMatchObject({
      response: 1,
      proxyThroughServiceUrl: true,
      authoritative: true,
    });
  });

  it('reads receipts by hand as by the table, the one of a duplicate too', () => {
    for (const key of ['sendReceipt', 'sendReceiptDuplicate']) {
      const bytes = frame(key);
      const { start, end } = findCommand(bytes, 4, bytes.length);
      const { messageId, ...rest } = fieldsOf('sendReceipt', key);
      expect(decodeSendReceipt(bytes, start, end)).toEqual({
        ...rest,
        ledgerId: messageId?.ledgerId,
        entryId: messageId?.entryId,
      });
    }
    expect(fieldsOf('sendReceipt', 'sendReceiptDuplicate').messageId?.ledgerId).toBe(-1n);
  });

  it('reads a delivered message and writes the same SEND frame', () => {
    const bytes = frame('message');
    const range = findCommand(bytes, 4, bytes.length);
    expect(decodeMessageHeader(bytes, range.start, range.end)).toEqual({
      consumerId: 9,
      ledgerId: 12n,
      entryId: 345n,
      partition: 2,
      redeliveryCount: 3,
      ackSet: Int32Array.of(682, 0),
      consumerEpoch: undefined,
    });
    const entry = decodeEntry(bytes, range.commandEnd, bytes.length);
    expect(entry.payload.toString()).toBe('hello');
    expect(entry.metadata).toMatchObject({
      producerName: 'p-1',
      sequenceId: 41n,
      publishTimeMs: 1_795_478_400_123,
      partitionKey: 'kéy',
      properties: { traceparent: '00-abc', üml: `😀 ${'x'.repeat(60)}` },
      deliverAtTimeMs: 1_795_478_401_000,
    });
    expect(Buffer.from(entry.metadata.orderingKey ?? []).toString()).toBe('ok');
    const sent = new SendFrameEncoder().encode(
      {
        producerId: 7,
        sequenceId: 41n,
        metadata: {
          ...entry.metadata,
          replicateTo: undefined,
          encryptionKeys: undefined,
          compactedBatchIndexes: undefined,
        },
      },
      entry.payload,
      LIMIT,
    );
    expect(sent.toString('hex')).toBe(recorded['send']);
  });

  it.each(['NONE', 'LZ4', 'ZLIB', 'ZSTD', 'SNAPPY'])(
    'reads its batch compressed with %s, and writes the same one',
    (kind) => {
      const bytes = frame(`sendBatch.${kind}`);
      const { commandEnd } = findCommand(bytes, 4, bytes.length);
      const entry = decodeEntry(bytes, commandEnd, bytes.length);
      const batch = new BatchReader(payloadOf(entry, LIMIT), entry.metadata.numMessagesInBatch ?? 0);
      const messages: BatchedMessage[] = [];
      for (let message = batch.next(); message !== undefined; message = batch.next()) {
        messages.push(message);
      }
      expect(messages.map(({ payload, isTombstone }) => (isTombstone ? null : payload.toString()))).toEqual([
        'payload-0',
        'payload-1',
        null,
      ]);
      const writer = new BatchWriter(LIMIT);
      for (const { metadata, payload, isTombstone } of messages) {
        writer.tryAdd({
          payload: isTombstone ? null : payload,
          key: metadata.partitionKey,
          orderingKey: metadata.orderingKey,
          properties: metadata.properties,
          eventTimeMs: metadata.eventTimeMs,
          sequenceId: metadata.sequenceId,
        });
      }
      const { producerName, publishTimeMs, partitionKey } = entry.metadata;
      const header = {
        producerId: 7,
        sequenceId: 100n,
        highestSequenceId: 102n,
        metadata: { producerName, sequenceId: 100n, publishTimeMs, partitionKey, highestSequenceId: 102n },
      };
      const sent = writer.finish(new SendFrameEncoder(), header, LIMIT);
      expect(sent.toString('hex')).toBe(recorded['sendBatch.NONE']);
    },
  );

  it.each(Object.entries(COMPRESSION))('decompresses what it compressed with %s, and its own work', (name, code) => {
    const text = frame('uncompressed');
    const theirs = frame(`compressed.${name.toUpperCase()}`);
    expect(decompress(code, theirs, text.length).equals(text)).toBe(true);
    const ours = new Compressor().compress(COMPRESSION[name as CompressionName], text);
    expect(decompress(code, ours, text.length).equals(text)).toBe(true);
  });

  it('writes and reads message ids as bytes and as text', () => {
    const single = MessageId.fromBytes(frame('messageId.single'));
    expect(single).toEqual(new MessageId(1016n, 3n, 2));
    expect(String(single)).toBe(recorded['messageIdText.single']);
    const batched = MessageId.fromBytes(frame('messageId.batch'));
    expect(batched).toEqual(new MessageId(1016n, 3n, -1, 5, 10));
    expect(String(batched)).toBe(recorded['messageIdText.batch']);
    expect(MessageId.fromBytes(frame('messageId.earliest')).equals(MessageId.earliest)).toBe(true);
    expect(MessageId.fromBytes(frame('messageId.latest')).equals(MessageId.latest)).toBe(true);
  });

  it.each(golden.keyHashes)('hashes the key %j as it does', (key, java, murmur) => {
    expect([javaStringHash(String(key)), murmur3Hash(String(key))]).toEqual([java, murmur]);
  });
});

import { Logger } from '@nestjs/common';
import * as fc from 'fast-check';
import { PulsarClosedError } from '@smartpulse/pulsar';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineChange } from '../definition/change-contract.js';
import { defineSync } from '../definition/sync-definition.js';
import { readPropertyStamp } from '../envelope/envelope-properties.js';
import { handOff, rowChange } from '../testing/row-changes.js';
import { RecordingPublisher } from '../testing/recording.publisher.js';
import { ChangePublisher } from './publisher.change.sink.js';

const contract = defineChange({
  name: 'stock',
  topic: 'stock-changes',
  primaryKey: ['id'],
  schema: z.object({ id: z.number(), level: z.number() }),
  version: 3,
});
/** Two rows a key: 0 and 1 are `k0`, 2 and 3 are `k1`. */
const sync = defineSync(contract, {
  table: 'dbo.stock',
  cache: 'stock',
  shape: 'aggregate',
  key: (pk) => `k${Math.floor(pk.id / 2)}`,
});

function setUp(maxPayloadBytes = 1_000_000) {
  const publisher = new RecordingPublisher();
  const capabilities = {
    subscriptionTypes: ['Shared' as const],
    delayedDelivery: true,
    nackDelay: true,
    batching: true,
    compression: ['none' as const],
    deduplication: false,
    nonDurable: true,
    cumulativeAck: false,
    ackReceipts: true,
    tombstones: false,
    orderingKeys: true,
    keyedBatching: true,
    producerIdentity: true,
    topicLists: false,
    exactPermits: true,
    endlessSends: true,
    maxPayloadBytes,
  };
  const sink = new ChangePublisher(sync, publisher, { brokerInstance: 'broker-1', capabilities });
  return { publisher, sink, envelopes: () => publisher.envelopes('stock-changes') };
}

const at = (version: bigint) => ({ epoch: 1n, version });
const change = (id: number, version: bigint, overrides: Partial<Parameters<typeof rowChange>[0]> = {}) =>
  rowChange({ primaryKey: { id }, row: { id, level: 1 }, version: at(version), ...overrides });

describe('ChangePublisher', () => {
  it('sends one envelope per key and page, under the key, with the highest stamp', async () => {
    const { sink, envelopes, publisher } = setUp();
    const outcomes = await sink.accept([change(0, 5n), change(2, 6n), change(1, 7n)], handOff({ fence: 9n }));
    expect(outcomes).toEqual([{ status: 'accepted' }, { status: 'accepted' }, { status: 'accepted' }]);
    expect(envelopes()).toMatchObject([
      { kind: 'change', key: 'k0', epoch: '1', version: '7', schemaVersion: 3, fence: '9', seq: '1', prevSeq: null },
      { kind: 'change', key: 'k1', epoch: '1', version: '6', fence: '9', seq: '2', prevSeq: '1' },
    ]);
    expect(envelopes()[0]?.changes.map(({ pk, version }) => [pk['id'], version])).toEqual([
      [0, '5'],
      [1, '7'],
    ]);
    expect(publisher.messages.map(({ key }) => key)).toEqual(['k0', 'k1']);
    expect(publisher.messages[0]?.properties).toMatchObject({ 'sp-key': 'k0', 'sp-epoch': '1', 'sp-version': '7' });
    expect(publisher.flushed).toEqual(['stock-changes']);
  });

  it('names the broker as the place where accepted changes are', () => {
    expect(setUp().sink.instance).toBe('broker-1');
  });

  it('rejects the whole hand-off when the broker refuses one envelope, so that the checkpoint stays', async () => {
    const { sink, publisher } = setUp();
    publisher.refuse = ({ key }) => (key === 'k1' ? new PulsarClosedError('publisher') : undefined);
    await expect(sink.accept([change(0, 5n), change(2, 6n)], handOff())).rejects.toThrow(PulsarClosedError);
    expect(sink.stats).toMatchObject({ failures: 1, inFlight: 0, publishedEnvelopes: 0 });
    expect(sink.position).toBeUndefined();
  });

  it('never uses a number twice for different content', async () => {
    const { sink, publisher, envelopes } = setUp();
    publisher.refuse = () => new PulsarClosedError('publisher');
    await expect(sink.accept([change(0, 5n)], handOff())).rejects.toThrow();
    publisher.refuse = undefined;
    await sink.accept([change(0, 6n)], handOff());
    expect(envelopes()[0]).toMatchObject({ seq: '2', prevSeq: '1' });
  });

  it('begins to number anew under another fence', async () => {
    const { sink, envelopes } = setUp();
    await sink.announce({ kind: 'started', version: 4n }, handOff({ fence: 1n }));
    await sink.accept([change(0, 5n)], handOff({ fence: 1n }));
    await sink.announce({ kind: 'started', version: null }, handOff({ fence: 2n }));
    expect(envelopes()).toMatchObject([
      { kind: 'seqStart', version: '4', key: null, seq: '1', prevSeq: null },
      { kind: 'change', seq: '2', prevSeq: '1' },
      { kind: 'seqStart', version: '0', seq: '1', prevSeq: null, fence: '2' },
    ]);
  });

  it('tells heartbeats and resyncs', async () => {
    const { sink, envelopes, publisher } = setUp();
    await sink.announce({ kind: 'resyncStarted', reason: 'tableTruncated', fromVersion: 8n }, handOff());
    await sink.announce({ kind: 'resyncCompleted', reason: 'tableTruncated', version: 9n }, handOff());
    await sink.announce({ kind: 'heartbeat', version: 10n }, handOff());
    expect(envelopes()).toMatchObject([
      { kind: 'resync', version: '8', resync: { state: 'started', reason: 'tableTruncated' } },
      { kind: 'resync', version: '9', resync: { state: 'completed', reason: 'tableTruncated' } },
      { kind: 'heartbeat', version: '10', resync: null },
    ]);
    expect(publisher.messages.every(({ key }) => key === undefined)).toBe(true);
  });

  it('dead-letters a change without a key before it answers, and goes on with the others', async () => {
    const { sink, publisher, envelopes } = setUp();
    const outcomes = await sink.accept([change(0, 5n), rowChange({ primaryKey: {}, version: at(6n) })], handOff());
    expect(outcomes[0]).toEqual({ status: 'accepted' });
    expect(outcomes[1]).toMatchObject({ status: 'poison', error: { name: 'InvalidKeyTextError' } });
    expect(publisher.messages.map(({ topic }) => topic)).toEqual(['stock-changes-publish-DLQ', 'stock-changes']);
    expect(publisher.kept).toEqual(['stock-changes-publish-DLQ']);
    expect(envelopes()).toHaveLength(1);
    expect(sink.stats).toMatchObject({ poison: 1, publishedChanges: 1 });
  });

  it('sends the key alone of a change that cannot be projected, so that caches drop what they hold', async () => {
    const { sink, publisher, envelopes } = setUp();
    const outcomes = await sink.accept([change(3, 6n, { row: { id: 3, level: Number.NaN } })], handOff());
    expect(outcomes).toMatchObject([{ status: 'poison', error: { name: 'UnencodableValueError' } }]);
    expect(envelopes()).toMatchObject([
      { key: 'k1', version: '6', keysOnly: true, changes: [{ pk: { id: 3 }, row: null }] },
    ]);
    const letter = JSON.parse(new TextDecoder().decode(publisher.messages[0]?.payload)) as unknown;
    expect(letter).toMatchObject({ table: 'dbo.stock', key: 'k1', pk: { id: 3 }, epoch: '1', version: '6' });
  });

  it('rejects when a dead letter cannot be stored: the change is offered again', async () => {
    const { sink, publisher } = setUp();
    publisher.refuse = ({ topic }) => (topic.endsWith('DLQ') ? new PulsarClosedError('publisher') : undefined);
    await expect(sink.accept([rowChange({ primaryKey: {}, version: at(6n) })], handOff())).rejects.toThrow(
      PulsarClosedError,
    );
  });

  it('splits what is too large, and sends keys alone of a single change that is', async () => {
    const { sink, publisher, envelopes } = setUp(600);
    const note = 'x'.repeat(120);
    await sink.accept(
      [0, 1].map((id) => change(id, BigInt(5 + id), { row: { id, level: 1, note } })),
      handOff(),
    );
    await sink.accept([change(0, 9n, { row: { id: 0, level: 1, note: 'y'.repeat(900) } })], handOff());
    expect(envelopes()).toMatchObject([
      { key: 'k0', version: '5', keysOnly: false, seq: '1' },
      { key: 'k0', version: '6', keysOnly: false, seq: '2', prevSeq: '1' },
      { key: 'k0', version: '9', keysOnly: true, changes: [{ row: null }] },
    ]);
    expect(publisher.messages.every(({ payload }) => payload.byteLength <= 600)).toBe(true);
    expect(sink.stats).toMatchObject({ keysOnly: 1, poison: 0 });
  });

  it('leaves out the names of columns where they are what is too long for a message', async () => {
    const { sink, envelopes } = setUp(600);
    const changedColumns = Array.from({ length: 60 }, (_, index) => `a_column_with_a_name_${index}`);
    await sink.accept([change(0, 9n, { changedColumns })], handOff());

    expect(envelopes()).toMatchObject([{ key: 'k0', version: '9', keysOnly: true, changes: [{ columns: null }] }]);
    expect(sink.stats).toMatchObject({ keysOnly: 1, poison: 0 });
  });

  it('invalidates the key of a change whose primary key has no room, by a message with nothing but its stamp, and says so', async () => {
    const { sink, publisher } = setUp(100);
    const errors: string[] = [];
    Logger.overrideLogger({ log: () => {}, warn: () => {}, error: (message: string) => void errors.push(message) });
    try {
      const outcomes = await sink.accept([change(0, 9n)], handOff());
      expect(outcomes).toMatchObject([{ status: 'poison' }]);
    } finally {
      Logger.overrideLogger(['log', 'warn', 'error', 'fatal']);
    }
    const [message] = publisher.messages.filter(({ topic }) => topic === 'stock-changes');

    expect(message?.payload.byteLength).toBe(2);
    expect(readPropertyStamp(message?.properties ?? {}, message?.key)).toMatchObject({
      key: 'k0',
      stamp: { epoch: 1n, version: 9n },
    });
    expect(errors).toEqual([expect.stringMatching(/dbo\.stock at version 9: it is kept as a dead letter/)]);
  });

  it('does so for a row that no message can carry, where there is no room for its key either', async () => {
    const { sink, publisher } = setUp(100);
    Logger.overrideLogger(false);
    try {
      const outcomes = await sink.accept([change(3, 6n, { row: { id: 3, level: Number.NaN } })], handOff());
      expect(outcomes).toMatchObject([{ status: 'poison', error: { name: 'UnencodableValueError' } }]);
    } finally {
      Logger.overrideLogger(['log', 'warn', 'error', 'fatal']);
    }
    const [message] = publisher.messages.filter(({ topic }) => topic === 'stock-changes');

    expect(message?.payload.byteLength).toBe(2);
    expect(readPropertyStamp(message?.properties ?? {}, message?.key)).toMatchObject({
      key: 'k1',
      stamp: { epoch: 1n, version: 6n },
    });
  });

  it('loses no change and keeps the order of each key, however small the messages are', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ id: fc.integer({ min: 0, max: 9 }), size: fc.integer({ min: 0, max: 400 }) }), {
          maxLength: 40,
        }),
        fc.integer({ min: 420, max: 2_000 }),
        async (rows, maxPayloadBytes) => {
          const { sink, envelopes, publisher } = setUp(maxPayloadBytes);
          const page = rows.map(({ id, size }, index) =>
            change(id, BigInt(index + 1), { row: { id, level: 1, note: 'n'.repeat(size) } }),
          );
          const outcomes = await sink.accept(page, handOff());
          expect(outcomes).toEqual(page.map(() => ({ status: 'accepted' })));
          const sent = new Map<string | null, string[]>();
          for (const { key, changes } of envelopes()) {
            sent.set(key, [...(sent.get(key) ?? []), ...changes.map(({ version }) => version)]);
          }
          const expected = new Map<string | null, string[]>();
          for (const [index, { id }] of rows.entries()) {
            const key = `k${Math.floor(id / 2)}`;
            expected.set(key, [...(expected.get(key) ?? []), String(index + 1)]);
          }
          expect(sent).toEqual(expected);
          expect(publisher.messages.every(({ payload }) => payload.byteLength <= maxPayloadBytes)).toBe(true);
        },
      ),
    );
  });

  it("carries the writer's trace beside the message's own, where all changes of the envelope were written in one", async () => {
    const { sink, publisher } = setUp();
    const [one, other] = ['1', '2'].map((digit) => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`);
    await sink.accept([change(0, 5n, { traceparent: one }), change(1, 6n, { traceparent: one })], handOff());
    await sink.accept([change(0, 7n, { traceparent: one }), change(1, 8n, { traceparent: other })], handOff());
    await sink.accept([change(0, 9n)], handOff());

    expect(publisher.messages.map(({ properties }) => properties['sp-traceparent'])).toEqual([
      one,
      undefined,
      undefined,
    ]);
  });

  it('tells origin and commit time only where all changes of the envelope can', async () => {
    const { sink, envelopes } = setUp();
    await sink.accept(
      [change(0, 5n, { origin: 'a', committedAtMs: 1_000 }), change(1, 6n, { origin: 'a', committedAtMs: 2_000 })],
      handOff(),
    );
    await sink.accept(
      [change(0, 7n, { origin: 'a', committedAtMs: 1_000 }), change(1, 8n, { origin: 'b' })],
      handOff(),
    );
    expect(envelopes()).toMatchObject([
      { origin: 'a', committedAt: '1970-01-01T00:00:02.000Z' },
      { origin: null, committedAt: null },
    ]);
  });
});

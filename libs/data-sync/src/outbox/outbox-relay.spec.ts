import { defineEvent, PulsarClosedError } from '@smartpulse/pulsar';
import { ConfigurationError } from '@smartpulse/resilience';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { handOff, rowChange } from '../testing/row-changes.js';
import { RecordingPublisher } from '../testing/recording.publisher.js';
import { defineOutbox } from './outbox-definition.js';
import { OutboxRelay } from './outbox-relay.change.sink.js';

const computed = defineEvent({
  name: 'forecast-computed',
  topic: 'forecast-computed',
  schema: z.object({ unit: z.string(), megawatt: z.number() }),
  key: (event) => event.unit,
});
const mailed = defineEvent({ name: 'mail-wanted', topic: 'mails', schema: z.object({ to: z.string() }) });
const foreign = defineEvent({ name: 'foreign', topic: 'foreign', schema: z.object({}) });
const outbox = defineOutbox({ table: 'dbo.outbox', events: [computed, mailed] });

function setUp() {
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
    maxPayloadBytes: 1_000,
  };
  return { publisher, relay: new OutboxRelay(outbox, publisher, { brokerInstance: 'broker-1', capabilities }) };
}

const inserted = (id: number | bigint, row: object) =>
  rowChange({
    table: 'dbo.outbox',
    primaryKey: { id },
    row: { id, key: null, ...row },
    version: { epoch: 1n, version: BigInt(id) },
  });
const circumstances = handOff({ table: 'dbo.outbox' });

describe('an outbox', () => {
  it('makes the row of an event, checked against its list', () => {
    expect(outbox.row(computed, { unit: 'U-1', megawatt: 1.5 })).toEqual({
      event: 'forecast-computed',
      key: 'U-1',
      payload: '{"unit":"U-1","megawatt":1.5}',
    });
    expect(outbox.row(mailed, { to: 'a' }).key).toBeNull();
    expect(() => outbox.row(foreign, {})).toThrow(ConfigurationError);
  });

  it('names what is wrong with its definition', () => {
    expect(() => defineOutbox({ table: 'outbox', events: [] })).toThrow(/"table".*"events"/s);
    expect(() => defineOutbox({ table: 'dbo.outbox', events: [computed, computed] })).toThrow(/listed twice/);
  });
});

describe('OutboxRelay', () => {
  it('publishes each inserted row as the plain event, with its key and id, in order', async () => {
    const { relay, publisher } = setUp();
    const outcomes = await relay.accept(
      [
        inserted(1, outbox.row(computed, { unit: 'U-1', megawatt: 1 })),
        inserted(2, outbox.row(mailed, { to: 'a' })),
        inserted(9_007_199_254_740_993n, outbox.row(computed, { unit: 'U-1', megawatt: 2 })),
      ],
      circumstances,
    );
    expect(outcomes.map(({ status }) => status)).toEqual(['accepted', 'accepted', 'accepted']);
    expect(
      publisher.messages.map(({ topic, key, properties, payload }) => [
        topic,
        key,
        properties,
        new TextDecoder().decode(payload),
      ]),
    ).toEqual([
      ['forecast-computed', 'U-1', { 'outbox-id': '1' }, '{"unit":"U-1","megawatt":1}'],
      ['forecast-computed', 'U-1', { 'outbox-id': '9007199254740993' }, '{"unit":"U-1","megawatt":2}'],
      ['mails', undefined, { 'outbox-id': '2' }, '{"to":"a"}'],
    ]);
    expect(relay.stats).toMatchObject({ relayed: 3, poison: 0 });
  });

  it('names each event for consumers that handle it once: by its row, within one life of the database', async () => {
    const { relay, publisher } = setUp();
    const row = inserted(1, outbox.row(mailed, { to: 'a' }));
    await relay.accept([row], circumstances);
    await relay.accept([row], circumstances);
    await relay.accept([{ ...row, version: { epoch: 2n, version: 1n } }], circumstances);
    const [first, again, restored] = publisher.messages.map(({ idempotencyKey }) => idempotencyKey);
    expect(first).toMatch(/dbo\.outbox\/1\/1$/);
    expect(again).toBe(first);
    expect(restored).not.toBe(first);
  });

  it('sends no two events of a key at a time: a refused one keeps those after it back', async () => {
    const { relay, publisher } = setUp();
    publisher.refuse = ({ properties }) =>
      properties['outbox-id'] === '1' ? new PulsarClosedError('publisher') : undefined;
    const rows = ['U-1', 'U-2', 'U-1', 'U-1'].map((unit, index) =>
      inserted(index + 1, outbox.row(computed, { unit, megawatt: index })),
    );
    await expect(relay.accept(rows, circumstances)).rejects.toThrow(PulsarClosedError);
    expect(publisher.messages.map(({ properties }) => properties['outbox-id'])).toEqual(['2']);
    publisher.refuse = undefined;
    await relay.accept(rows, circumstances);
    expect(publisher.messages.map(({ properties }) => properties['outbox-id'])).toEqual(['2', '1', '2', '3', '4']);
  });

  it('relays rows that a bootstrap finds, and takes a deleted row for relayed', async () => {
    const { relay, publisher } = setUp();
    const row = inserted(1, outbox.row(mailed, { to: 'a' }));
    await relay.accept(
      [
        { ...row, operation: 'snapshot' },
        { ...row, operation: 'delete', row: null },
      ],
      circumstances,
    );
    expect(publisher.messages).toHaveLength(1);
  });

  it.each<[string, object | null]>([
    ['an event that the outbox does not list', { event: 'foreign', payload: '{}' }],
    ['a payload that is no JSON', { event: 'mail-wanted', payload: '{' }],
    ['a payload that the schema refuses', { event: 'mail-wanted', payload: '{"to":1}' }],
    ['no payload', { event: 'mail-wanted', payload: null }],
    ['a payload larger than a message', { event: 'mail-wanted', payload: JSON.stringify({ to: 'x'.repeat(1_000) }) }],
  ])('dead-letters %s before it answers, and publishes nothing of it', async (_what, row) => {
    const { relay, publisher } = setUp();
    const outcomes = await relay.accept(
      [inserted(1, row ?? {}), inserted(2, outbox.row(mailed, { to: 'b' }))],
      circumstances,
    );
    expect(outcomes).toMatchObject([{ status: 'poison', error: { name: 'OutboxRowError' } }, { status: 'accepted' }]);
    expect(publisher.messages.map(({ topic }) => topic)).toEqual(['dbo.outbox-publish-DLQ', 'mails']);
    expect(new TextDecoder().decode(publisher.messages[0]?.payload)).toContain('"pk":{"id":1}');
  });

  it('dead-letters a row that was deleted before it was relayed: its event is lost, and says so', async () => {
    const { relay } = setUp();
    const outcomes = await relay.accept([{ ...inserted(1, {}), row: null }], circumstances);
    expect(outcomes).toMatchObject([{ status: 'poison' }]);
  });

  it('rejects when the broker refuses, so that the checkpoint stays', async () => {
    const { relay, publisher } = setUp();
    publisher.refuse = () => new PulsarClosedError('publisher');
    await expect(relay.accept([inserted(1, outbox.row(mailed, { to: 'a' }))], circumstances)).rejects.toThrow(
      PulsarClosedError,
    );
    expect(relay.stats).toMatchObject({ relayed: 0, failures: 1, inFlight: 0 });
  });

  it("has no word for the feed's own events", async () => {
    const { relay, publisher } = setUp();
    await relay.announce({ kind: 'heartbeat', version: 1n }, circumstances);
    expect(publisher.messages).toEqual([]);
  });
});

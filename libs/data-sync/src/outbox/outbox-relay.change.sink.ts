import {
  type AcceptOutcome,
  ChangeSink,
  type ColumnValue,
  type FeedEvent,
  type HandOff,
  type RowChange,
} from '@smartpulse/cdc';
import { OutboxRowError } from '../data-sync.errors.js';
import type { PoisonChange } from '../publish/key-groups.js';
import { type MessagePublisher, PoisonLetters } from '../publish/poison-letters.js';
import type { Broker } from '../publish/publisher.change.sink.js';
import { toWireRow, toWireValue } from '../envelope/wire-value.js';
import type { OutboxDefinition, OutboxEvent } from './outbox-definition.js';

/** The property that carries a row's id: consumers that must not act twice keep it. */
export const OUTBOX_ID_PROPERTY = 'outbox-id';

/** What a relay has done since the app began; counts only grow. */
export interface OutboxStats {
  /** Events that the broker stored. */
  readonly relayed: number;
  /** Rows that could not be published; each has a dead letter. */
  readonly poison: number;
  /** Hand-offs that the broker refused; the tracker offers them again. */
  readonly failures: number;
  /** Hand-offs under way now. */
  readonly inFlight: number;
}

interface OutboxMessage {
  readonly event: OutboxEvent;
  readonly payload: Uint8Array;
  readonly key: string | null;
  readonly id: string;
  /** Of this row in this life of its database: after a restore the same id may mean another event. */
  readonly idempotencyKey: string;
}

const ACCEPTED: AcceptOutcome = Object.freeze({ status: 'accepted' });
const encoder = new TextEncoder();

/**
 * Publishes the rows of an outbox table as plain events. At least once: a row that is offered again is published again under the same
 * `outbox-id` and idempotency key. Per topic and key each event is stored for the first time after those before it: the next one of a key is
 * sent when the last one is stored, so that a page takes as many round trips as it has events of one key. Deleting relayed rows is nothing
 * to it.
 */
export class OutboxRelay extends ChangeSink {
  readonly #outbox: OutboxDefinition;
  readonly #publisher: MessagePublisher;
  readonly #transport: Broker;
  readonly #letters: PoisonLetters;
  readonly #stats = { relayed: 0, poison: 0, failures: 0, inFlight: 0 };

  constructor(outbox: OutboxDefinition, publisher: MessagePublisher, transport: Broker) {
    super();
    this.#outbox = outbox;
    this.#publisher = publisher;
    this.#transport = transport;
    this.#letters = new PoisonLetters(publisher, outbox.table.replaceAll(/[^A-Za-z0-9._-]/g, '-'));
  }

  /** The broker's: another one at start means that what was published is gone. */
  override get instance(): string {
    return this.#transport.brokerInstance;
  }

  /** Counts since the app began. */
  get stats(): OutboxStats {
    return { ...this.#stats };
  }

  override async accept(changes: readonly RowChange[], handOff: HandOff): Promise<readonly AcceptOutcome[]> {
    this.#stats.inFlight++;
    try {
      const outcomes: AcceptOutcome[] = [];
      const poison: PoisonChange[] = [];
      const byTopic = new Map<string, OutboxMessage[]>();
      for (const [index, change] of changes.entries()) {
        const read = await this.#read(change, handOff.source);
        if (read instanceof Error) {
          poison.push({ index, change, error: read, key: undefined, pk: wireKey(change) });
          outcomes.push({ status: 'poison', error: read });
          continue;
        }
        if (read !== undefined) {
          const messages = byTopic.get(read.event.topic) ?? [];
          messages.push(read);
          byTopic.set(read.event.topic, messages);
        }
        outcomes.push(ACCEPTED);
      }
      if (poison.length > 0) {
        await this.#letters.store(poison, handOff);
        this.#stats.poison += poison.length;
      }
      for (const [topic, messages] of byTopic) {
        await this.#publish(topic, messages);
      }
      return outcomes;
    } catch (error) {
      this.#stats.failures++;
      throw error;
    } finally {
      this.#stats.inFlight--;
    }
  }

  /** Events have no word for the feed's own: nothing is sent. */
  override async announce(_event: FeedEvent, _handOff: HandOff): Promise<void> {
    await Promise.resolve();
  }

  async #publish(topic: string, messages: readonly OutboxMessage[]): Promise<void> {
    for (const round of roundsOf(messages)) {
      const results = await this.#publisher.publishMany(
        topic,
        round.map(({ payload, key, id, event, idempotencyKey }) => ({
          data: payload,
          options: {
            codec: { contentType: event.contentType, encode: same, decode: same },
            properties: { [OUTBOX_ID_PROPERTY]: id },
            idempotencyKey,
            ...(key === null ? {} : { key }),
          },
        })),
      );
      const refused = results.find((result) => result.status === 'rejected');
      if (refused !== undefined) {
        throw refused.error;
      }
      this.#stats.relayed += round.length;
    }
  }

  /** The message of a row; nothing for a deleted one; an error for what cannot be published. */
  async #read(change: RowChange, source: string): Promise<OutboxMessage | Error | undefined> {
    if (change.operation === 'delete') {
      return undefined;
    }
    const { table, columns } = this.#outbox;
    if (change.row === null) {
      return new OutboxRowError(table, 'was deleted before it was relayed');
    }
    const name = change.row[columns.event];
    const event = typeof name === 'string' ? this.#outbox.event(name) : undefined;
    if (event === undefined) {
      return new OutboxRowError(table, 'names an event that the outbox does not list');
    }
    const payload = change.row[columns.payload];
    const key = change.row[columns.key] ?? null;
    const id = change.row[columns.id];
    if (typeof payload !== 'string' || (key !== null && typeof key !== 'string') || !isId(id)) {
      return new OutboxRowError(table, `has no text in "${columns.payload}" or "${columns.key}", or no id`);
    }
    const bytes = encoder.encode(payload);
    if (bytes.byteLength > this.#transport.capabilities.maxPayloadBytes) {
      return new OutboxRowError(table, `has a payload of ${bytes.byteLength} bytes, more than the broker takes`);
    }
    const problem = await event.problemOf(bytes);
    if (problem !== undefined) {
      return new OutboxRowError(table, problem);
    }
    const text = String(toWireValue(columns.id, id));
    const idempotencyKey = `${source}/${table}/${change.version.epoch}/${text}`;
    return { event, payload: bytes, key, id: text, idempotencyKey };
  }
}

/**
 * Messages in rounds of which none has two of one key: if the broker refused the first and stored the second, consumers would hear of the
 * second before the first. What has no key has no order, and goes in the first round.
 */
function roundsOf(messages: readonly OutboxMessage[]): readonly (readonly OutboxMessage[])[] {
  const rounds: OutboxMessage[][] = [];
  const taken = new Map<string, number>();
  for (const message of messages) {
    const round = message.key === null ? 0 : (taken.get(message.key) ?? 0);
    if (message.key !== null) {
      taken.set(message.key, round + 1);
    }
    (rounds[round] ??= []).push(message);
  }
  return rounds;
}

function isId(id: ColumnValue | undefined): id is string | number | bigint {
  return typeof id === 'string' || typeof id === 'number' || typeof id === 'bigint';
}

function same(payload: Uint8Array): Uint8Array {
  return payload;
}

function wireKey(change: RowChange): PoisonChange['pk'] {
  try {
    return toWireRow(change.primaryKey);
  } catch {
    // A letter without its key still tells table and version; what made the row poison is the error to tell.
    return undefined;
  }
}

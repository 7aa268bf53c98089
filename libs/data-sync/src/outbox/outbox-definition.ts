import type { EventContract } from '@smartpulse/pulsar';
import { checkOptions, ConfigurationError, type StandardSchemaV1 } from '@smartpulse/resilience';
import { z } from 'zod';

/** The columns of an outbox table. */
export interface OutboxColumns {
  /** The identity, rising; it is handed on as the property `outbox-id`. */
  readonly id: string;
  /** The event's name. */
  readonly event: string;
  /** The message key; may be null. */
  readonly key: string;
  /** The payload as text. */
  readonly payload: string;
}

/** What the relay needs of an `EventContract`, whatever its type: any contract made by `defineEvent` fits. */
export interface RelayedContract {
  readonly kind: 'event';
  readonly name: string;
  readonly topic: string;
  readonly schema: StandardSchemaV1;
  readonly codec: { readonly contentType: string; decode(payload: Uint8Array): unknown };
}

/** What {@link defineOutbox} is given. */
export interface OutboxOptions {
  /** The tracked, insert-only table, `schema.name`. Delete old rows only after they were relayed. */
  readonly table: string;
  /** The events that may be in it: nothing else is ever published, whatever a row says. */
  readonly events: readonly RelayedContract[];
  /** Column names. Default `id`, `event`, `key`, `payload`. */
  readonly columns?: Partial<OutboxColumns> | undefined;
}

/** What a writer inserts; id and creation time are the table's own. */
export interface OutboxRow {
  readonly event: string;
  readonly key: string | null;
  readonly payload: string;
}

/** A checked outbox. Made by {@link defineOutbox}. */
export interface OutboxDefinition {
  readonly table: string;
  readonly columns: OutboxColumns;
  /** The event of that name, if the outbox may carry it. */
  event(name: string): OutboxEvent | undefined;
  /**
   * The row for an event: insert it in the transaction that the event tells of, and they share commit and order.
   *
   * @throws `ConfigurationError` when the event is not among those of the outbox; what the event's codec throws.
   */
  row<T>(event: EventContract<T>, data: T): OutboxRow;
}

/** An event as the relay sees it: its payload is text, checked, never changed. */
export interface OutboxEvent {
  readonly name: string;
  readonly topic: string;
  readonly contentType: string;
  /** What is wrong with a payload, or nothing. */
  problemOf(payload: Uint8Array): Promise<string | undefined>;
}

const TABLE = /^[A-Za-z_][\w$#@]{0,127}\.[A-Za-z_][\w$#@]{0,127}$/;
const column = z.string().min(1, { error: 'expected a column name' });
const outboxSchema = z.strictObject({
  table: z.string().regex(TABLE, { error: 'expected `schema.name` with plain identifiers, like `dbo.forecast`' }),
  events: z
    .array(
      z.custom<object>(
        (event) => typeof event === 'object' && event !== null && 'kind' in event && event.kind === 'event',
      ),
      {
        error: 'expected contracts made by defineEvent',
      },
    )
    .min(1, { error: 'expected at least one event' }),
  columns: z.strictObject({ id: column, event: column, key: column, payload: column }).partial().optional(),
});

const DEFAULT_COLUMNS: OutboxColumns = Object.freeze({ id: 'id', event: 'event', key: 'key', payload: 'payload' });
const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Declares an outbox: a table whose inserted rows are published as plain events, each to the topic of its contract. For what happened and is
 * no row of its own (a computation done, a mail wanted): the event shares commit and order with the rows of its transaction.
 *
 * @throws `ConfigurationError` that names every wrong option.
 * @example
 * ```ts
 * export const forecastOutbox = defineOutbox({ table: 'dbo.outbox', events: [forecastComputed] });
 * await manager.insert(OutboxEntity, { ...forecastOutbox.row(forecastComputed, event), createdAt });
 * ```
 */
export function defineOutbox(options: OutboxOptions): OutboxDefinition {
  checkOptions('defineOutbox', outboxSchema, options);
  const events = new Map<string, RelayedContract>();
  for (const event of options.events) {
    if (events.has(event.name)) {
      throw new ConfigurationError('defineOutbox', [{ option: 'events', problem: `"${event.name}" is listed twice` }]);
    }
    events.set(event.name, event);
  }
  return Object.freeze({
    table: options.table,
    columns: Object.freeze({ ...DEFAULT_COLUMNS, ...options.columns }),
    event: (name: string): OutboxEvent | undefined => {
      const contract = events.get(name);
      return contract === undefined ? undefined : relayed(contract);
    },
    row: <T>(event: EventContract<T>, data: T): OutboxRow => {
      if (!events.has(event.name)) {
        throw new ConfigurationError('OutboxDefinition.row', [
          { option: 'event', problem: `"${event.name}" is not among the events of the outbox "${options.table}"` },
        ]);
      }
      return {
        event: event.name,
        key: event.key?.(data) ?? null,
        payload: utf8.decode(event.codec.encode(data)),
      };
    },
  });
}

function relayed(contract: RelayedContract): OutboxEvent {
  return {
    name: contract.name,
    topic: contract.topic,
    contentType: contract.codec.contentType,
    problemOf: async (payload) => {
      let value: unknown;
      try {
        value = contract.codec.decode(payload);
      } catch (error) {
        return `has a payload that the codec of "${contract.name}" cannot read (${error instanceof Error ? error.name : typeof error})`;
      }
      const result = await contract.schema['~standard'].validate(value);
      return result.issues === undefined ? undefined : `has a payload that the schema of "${contract.name}" refuses`;
    },
  };
}

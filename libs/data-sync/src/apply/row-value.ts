import { InvalidCacheKeyError } from '@smartpulse/redis-cache';
import { RowNotReadableError } from '../data-sync.errors.js';
import type { SyncDefinition } from '../definition/sync-definition.js';
import type { EnvelopeChange } from '../envelope/change-envelope.js';
import { parseRow } from '../envelope/row-parser.js';

/** What the cache holds of a row as it travels. @throws {@link RowNotReadableError} when the schema refuses it, or `value` throws. */
export async function readValue(sync: SyncDefinition, wire: NonNullable<EnvelopeChange['row']>): Promise<unknown> {
  const row = await parseRow(sync.contract, wire);
  try {
    return sync.valueOf(row);
  } catch (error) {
    throw new RowNotReadableError(sync.contract.name, 'its `value` function threw', error);
  }
}

/** What `name` of a change is by the app's own function. @throws {@link RowNotReadableError} when its primary key gives none. */
export function readKey(sync: SyncDefinition, change: EnvelopeChange, name: 'key' | 'field'): string {
  try {
    return name === 'key' ? sync.keyOf(change.pk) : sync.fieldOf(change.pk);
  } catch (error) {
    throw new RowNotReadableError(sync.contract.name, `its primary key gives no ${name}`, error);
  }
}

/** What is the fault of the message; anything else goes on as an error. */
export function unreadable(error: unknown): Error {
  if (RowNotReadableError.is(error) || InvalidCacheKeyError.is(error)) {
    return error;
  }
  throw error;
}

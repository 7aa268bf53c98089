import type { HandOff, RowChange } from '@smartpulse/cdc';

/** A change of `dbo.stock` (key `id`), any part of it replaced by `overrides`. */
export function rowChange(overrides: Partial<RowChange> & Pick<RowChange, 'version'>): RowChange {
  return {
    source: 'db',
    table: 'dbo.stock',
    operation: 'upsert',
    primaryKey: { id: 1 },
    changedColumns: null,
    row: { id: 1, level: 7 },
    origin: null,
    committedAtMs: null,
    ...overrides,
  };
}

/** The circumstances of a hand-off of `dbo.stock`, any part of them replaced by `overrides`. */
export function handOff(overrides: Partial<HandOff> = {}): HandOff {
  return {
    source: 'db',
    table: 'dbo.stock',
    epoch: 1n,
    fence: 1n,
    signal: new AbortController().signal,
    ...overrides,
  };
}

import type { RowChange } from '@smartpulse/cdc';
import type { EnvelopeChange } from '../envelope/change-envelope.js';
import { toWireRow } from '../envelope/wire-value.js';
import type { SyncDefinition } from '../definition/sync-definition.js';

/** A change ready to travel, and where it stood in the page. */
export interface ProjectedChange {
  readonly index: number;
  readonly change: RowChange;
  readonly wire: EnvelopeChange;
}

/** The changes of one key in one page. */
export interface KeyGroup {
  readonly key: string;
  readonly epoch: bigint;
  readonly changes: readonly ProjectedChange[];
}

/** A change that cannot travel as it is. */
export interface PoisonChange {
  readonly index: number;
  readonly change: RowChange;
  readonly error: Error;
  /** Where the key is known, it is invalidated with the change's stamp. */
  readonly key: string | undefined;
  /** The primary key as it travels, where it has a form. */
  readonly pk: EnvelopeChange['pk'] | undefined;
}

/** A page by key: groups in the order in which their keys first appear, changes in the order of the page. */
export interface GroupedPage {
  readonly groups: readonly KeyGroup[];
  readonly poison: readonly PoisonChange[];
}

/** Groups the changes of a page by the sync's key. Never throws: what cannot be keyed or projected is poison. */
export function groupByKey(sync: SyncDefinition, changes: readonly RowChange[]): GroupedPage {
  const groups = new Map<string, { key: string; epoch: bigint; changes: ProjectedChange[] }>();
  const poison: PoisonChange[] = [];
  for (const [index, change] of changes.entries()) {
    const projected = project(sync, change, index);
    if ('error' in projected) {
      poison.push(projected);
      continue;
    }
    // A page has one epoch; should a source ever mix two, their stamps must not share an envelope.
    const name = `${change.version.epoch} ${projected.key}`;
    const group = groups.get(name);
    if (group === undefined) {
      groups.set(name, { key: projected.key, epoch: change.version.epoch, changes: [projected] });
    } else {
      group.changes.push(projected);
    }
  }
  return { groups: [...groups.values()], poison };
}

function project(
  sync: SyncDefinition,
  change: RowChange,
  index: number,
): (ProjectedChange & { readonly key: string }) | PoisonChange {
  let key: string | undefined;
  let pk: EnvelopeChange['pk'] | undefined;
  try {
    pk = toWireRow(change.primaryKey);
    key = sync.keyOf(pk);
    const row = change.operation === 'delete' || change.row === null ? null : toWireRow(change.row);
    const wire: EnvelopeChange = {
      pk,
      // An upsert whose row is gone again: its delete follows with a higher version.
      op: change.operation,
      version: change.version.version.toString(),
      columns: change.changedColumns,
      row,
    };
    return { index, change, key, wire };
  } catch (error) {
    return { index, change, key, pk, error: error instanceof Error ? error : new Error(String(error)) };
  }
}

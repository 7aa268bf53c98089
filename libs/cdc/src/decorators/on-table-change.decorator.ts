import { SetMetadata } from '@nestjs/common';
import type { RowChange } from '../change/row-change.js';
import type { AcceptOutcome, HandOff } from '../sink/change.sink.js';
import type { TrackerTuning } from '../tracker/tracker.options.js';

/** Metadata key of {@link OnTableChange}. */
export const ON_TABLE_CHANGE = Symbol('smartpulse:cdc:on-table-change');

/** How a handler follows its table. */
export interface OnTableChangeOptions extends TrackerTuning {
  /**
   * Names the handler's position. Default `<Class>.<method>`: give one that you keep, because renaming starts anew from the whole table.
   */
  readonly consumer?: string | undefined;
  /** `true` (default): the handler gets a page at once. `false`: one change after another. */
  readonly batch?: boolean | undefined;
}

/** A handler of pages; may answer one outcome per change, nothing means that all are accepted. */
export type TableChangeHandler = (
  changes: readonly RowChange[],
  handOff: HandOff,
) => Promise<readonly AcceptOutcome[] | void> | readonly AcceptOutcome[] | void;

/** A handler of single changes (`batch: false`). */
export type SingleChangeHandler = (
  change: RowChange,
  handOff: HandOff,
) => Promise<AcceptOutcome | void> | AcceptOutcome | void;

/** What the explorer finds on a method. */
export interface OnTableChangeMetadata {
  readonly table: string;
  readonly options: OnTableChangeOptions;
}

/**
 * Calls the method with every committed change of a table, in order, on the replica that holds the table's lease. The position moves when
 * the method resolves; when it throws, the same changes come again, after a growing wait, for ever, or as often as `maxAttempts` says: answer `poison` for what
 * can never be handled, and keep it by `onPoison`. A change may come more than once, and the whole table comes as `snapshot` changes first (see `bootstrap`).
 *
 * Guards, pipes, interceptors and filters do not apply.
 *
 * @param table `schema.name`.
 * @example
 * ```ts
 * @OnTableChange('dbo.forecast', { consumer: 'audit' })
 * async onForecast(changes: readonly RowChange[]): Promise<void> { await this.audit.write(changes); }
 * ```
 */
export function OnTableChange(
  table: string,
  options?: OnTableChangeOptions & { readonly batch?: true | undefined },
): <T extends TableChangeHandler>(target: object, key: string | symbol, method: TypedPropertyDescriptor<T>) => void;
/** One change after another. */
export function OnTableChange(
  table: string,
  options: OnTableChangeOptions & { readonly batch: false },
): <T extends SingleChangeHandler>(target: object, key: string | symbol, method: TypedPropertyDescriptor<T>) => void;
export function OnTableChange(table: string, options: OnTableChangeOptions = {}): MethodDecorator {
  const metadata: OnTableChangeMetadata = { table, options };
  return SetMetadata(ON_TABLE_CHANGE, metadata);
}

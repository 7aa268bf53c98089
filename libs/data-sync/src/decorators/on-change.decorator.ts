import type { ChangeContract, WireKey } from '../definition/change-contract.js';
import type { KeyChanges } from '../on-change/key-changes.js';
import { type HandlerMark, markHandler } from './handler-mark.js';

/** How a handler listens. */
export interface OnChangeOptions {
  /**
   * Names the durable subscription `<app>-<subscription>`. It is shared by all replicas of the app, so each change is handled once per app,
   * and starts at the earliest message. Lower case, digits, dashes. Renaming it begins anew.
   */
  readonly subscription: string;
  /** Every replica gets every change, from the earliest message at each start (a non-durable subscription of its own). Default `false`. */
  readonly everyReplica?: boolean | undefined;
  /** Rows found by a bootstrap or resync are delivered too. Default `false`. */
  readonly snapshots?: boolean | undefined;
  /** How many keys are handled at once; one key never twice at once. From 1 to 1,000; default 1. */
  readonly concurrency?: number | undefined;
}

/**
 * Calls a method with the changes of a table, key by key, in the order of each key.
 *
 * Each change comes at least once; one that is older than what this process handled for its primary key (of the last 100,000) is left
 * out. A handler that throws is called again; after the attempts of the app's `PulsarModule` the message is dead-lettered. After restart or
 * rebalance older stamps may come again: a handler that needs more keeps `version` with its result.
 *
 * Methods are called directly on the provider, without Nest's guards, pipes and interceptors.
 *
 * @example
 * ```ts
 * @OnChange(forecastChange, { subscription: 'notifier' })
 * async handle(changes: KeyChanges<ForecastRow>): Promise<void> {
 *   await this.rules.look(changes.key, changes.changes);
 * }
 * ```
 */
export function OnChange<Row extends object, Pk extends WireKey>(
  contract: ChangeContract<Row, Pk>,
  options: OnChangeOptions,
): <Method extends (changes: KeyChanges<Row, Pk>) => Promise<void> | void>(
  target: object,
  property: string | symbol,
  descriptor: TypedPropertyDescriptor<Method>,
) => void {
  const mark: HandlerMark = { kind: 'change', contract, options };
  return (_target, _property, descriptor) => markHandler(descriptor.value, mark);
}

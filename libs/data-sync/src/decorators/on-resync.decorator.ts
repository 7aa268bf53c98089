import type { ChangeContract, WireKey } from '../definition/change-contract.js';
import type { FeedResync } from '../on-change/key-changes.js';
import { type HandlerMark, markHandler } from './handler-mark.js';

/** Which feed a resync handler belongs to. */
export interface OnResyncOptions {
  /** The subscription of the `@OnChange` method whose feed it is, in the same app. */
  readonly subscription: string;
}

/**
 * Calls a method when the owner begins and ends reading its table anew. It rides on the subscription of an `@OnChange` method of the same
 * app; without such a method here the app does not start. A feed without `@OnResync` logs the event.
 *
 * The event is delivered whatever `snapshots` says, once per app (per replica with `everyReplica`), and not in order with the keys.
 *
 * @example
 * ```ts
 * @OnResync(forecastChange, { subscription: 'notifier' })
 * async resynced(event: FeedResync): Promise<void> {
 *   if (event.state === 'started') await this.rules.forgetOlderThan(event.stamp);
 * }
 * ```
 */
export function OnResync<Row extends object, Pk extends WireKey>(
  contract: ChangeContract<Row, Pk>,
  options: OnResyncOptions,
): <Method extends (event: FeedResync) => Promise<void> | void>(
  target: object,
  property: string | symbol,
  descriptor: TypedPropertyDescriptor<Method>,
) => void {
  const mark: HandlerMark = { kind: 'resync', contract, options };
  return (_target, _property, descriptor) => markHandler(descriptor.value, mark);
}

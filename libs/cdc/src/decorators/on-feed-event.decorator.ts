import { SetMetadata } from '@nestjs/common';
import type { FeedEvent, HandOff } from '../sink/change.sink.js';

/** Metadata key of {@link OnFeedEvent}. */
export const ON_FEED_EVENT = Symbol('smartpulse:cdc:on-feed-event');

/** A handler of what happens to the feed itself. */
export type FeedEventHandler = (event: FeedEvent, handOff: HandOff) => Promise<void> | void;

/**
 * Calls the method with the events of a table's feed (a resync began or is complete, a heartbeat), in order with the changes that the
 * `@OnTableChange` methods of the same class and table get. A handler that keeps rows needs it: rows that were deleted while nobody could
 * read the log are only missing after a resync. When it throws, the event comes again.
 *
 * @example
 * ```ts
 * @OnFeedEvent('dbo.forecast')
 * onEvent(event: FeedEvent): void { if (event.kind === 'resyncStarted') this.rows.mark(event.fromVersion); }
 * ```
 */
export function OnFeedEvent(
  table: string,
): <T extends FeedEventHandler>(target: object, key: string | symbol, method: TypedPropertyDescriptor<T>) => void {
  return SetMetadata(ON_FEED_EVENT, table);
}

import type { RowChange } from '../change/row-change.js';
import type { FeedEventHandler } from '../decorators/on-feed-event.decorator.js';
import type { SingleChangeHandler, TableChangeHandler } from '../decorators/on-table-change.decorator.js';
import { type AcceptOutcome, ChangeSink, type FeedEvent, type HandOff } from '../sink/change.sink.js';

/** The handler of a page, whatever the method looks like. */
export type PageHandler = (changes: readonly RowChange[], handOff: HandOff) => Promise<readonly AcceptOutcome[]>;

const ACCEPTED: AcceptOutcome = Object.freeze({ status: 'accepted' });

/**
 * A handler method as a sink: resolved = accepted. Its instance never changes: what a handler did with a change (a row written, a mail
 * sent) is the app's and outlives the process, so a restart goes on from the checkpoint.
 */
export class HandlerSink extends ChangeSink {
  override readonly instance = 'handlers';
  readonly #onPage: PageHandler;
  readonly #onEvents: readonly FeedEventHandler[];

  constructor(onPage: PageHandler, onEvents: readonly FeedEventHandler[]) {
    super();
    this.#onPage = onPage;
    this.#onEvents = onEvents;
  }

  override accept(changes: readonly RowChange[], handOff: HandOff): Promise<readonly AcceptOutcome[]> {
    return this.#onPage(changes, handOff);
  }

  override async announce(event: FeedEvent, handOff: HandOff): Promise<void> {
    for (const onEvent of this.#onEvents) {
      await onEvent(event, handOff);
    }
  }
}

/** A page handler over a method that takes the page, and may answer nothing. */
export function wholePage(handle: TableChangeHandler): PageHandler {
  return async (changes, handOff) => (await handle(changes, handOff)) ?? changes.map(() => ACCEPTED);
}

/** A page handler over a method that takes one change; a throw offers the whole page again. */
export function oneByOne(handle: SingleChangeHandler): PageHandler {
  return async (changes, handOff) => {
    const outcomes: AcceptOutcome[] = [];
    for (const change of changes) {
      handOff.signal.throwIfAborted();
      outcomes.push((await handle(change, handOff)) ?? ACCEPTED);
    }
    return outcomes;
  };
}

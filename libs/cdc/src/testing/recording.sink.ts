import type { RowChange } from '../change/row-change.js';
import { type AcceptOutcome, ChangeSink, type FeedEvent, type HandOff } from '../sink/change.sink.js';

/** One thing that a sink was told, in the order of being told. */
export type Recorded =
  | { readonly kind: 'changes'; readonly changes: readonly RowChange[]; readonly handOff: HandOff }
  | { readonly kind: 'event'; readonly event: FeedEvent; readonly handOff: HandOff };

/** A sink that keeps what it accepts, for tests, and fails when told to. */
export class RecordingSink extends ChangeSink {
  readonly recorded: Recorded[] = [];
  #failures: Error[] = [];
  #poison: (change: RowChange) => Error | undefined = () => undefined;
  #before: () => Promise<void> = async () => {};

  constructor(override readonly instance = 'recording') {
    super();
  }

  /** Every change accepted, in order. */
  get changes(): readonly RowChange[] {
    return this.recorded.flatMap((entry) => (entry.kind === 'changes' ? entry.changes : []));
  }

  /** Every event accepted, in order. */
  get events(): readonly FeedEvent[] {
    return this.recorded.flatMap((entry) => (entry.kind === 'event' ? [entry.event] : []));
  }

  /** The next calls reject, one error each, and keep nothing. */
  failNext(...errors: Error[]): void {
    this.#failures.push(...errors);
  }

  /** Changes for which `judge` answers an error are poison. */
  poison(judge: (change: RowChange) => Error | undefined): void {
    this.#poison = judge;
  }

  /** Every call waits for `before` first. */
  hold(before: () => Promise<void>): void {
    this.#before = before;
  }

  override async accept(changes: readonly RowChange[], handOff: HandOff): Promise<readonly AcceptOutcome[]> {
    await this.#enter();
    const outcomes = changes.map((change): AcceptOutcome => {
      const error = this.#poison(change);
      return error === undefined ? { status: 'accepted' } : { status: 'poison', error };
    });
    const accepted = changes.filter((_, index) => outcomes[index]?.status === 'accepted');
    this.recorded.push({ kind: 'changes', changes: accepted, handOff });
    return outcomes;
  }

  override async announce(event: FeedEvent, handOff: HandOff): Promise<void> {
    await this.#enter();
    this.recorded.push({ kind: 'event', event, handOff });
  }

  async #enter(): Promise<void> {
    await this.#before();
    const failure = this.#failures.shift();
    if (failure !== undefined) {
      throw failure;
    }
  }
}

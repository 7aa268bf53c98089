import type { ChangeSource, SourceState } from './change.source.js';

/**
 * One look at the database for all trackers that ask in the same instant, as a nudge of many tables or a start makes them. A look that
 * has begun is never shared: it may have been before the commit that the asker was nudged for.
 */
export class SharedLook {
  readonly #source: ChangeSource;
  readonly #tables = new Set<string>();
  #next: Promise<SourceState> | undefined;

  constructor(source: ChangeSource) {
    this.#source = source;
  }

  /** The state of at least `table`, read after this call. */
  at(table: string): Promise<SourceState> {
    this.#tables.add(table);
    this.#next ??= this.#look();
    return this.#next;
  }

  async #look(): Promise<SourceState> {
    // Trackers that were woken together ask one microtask after another.
    await Promise.resolve();
    const tables = [...this.#tables];
    this.#tables.clear();
    this.#next = undefined;
    return this.#source.state(tables);
  }
}

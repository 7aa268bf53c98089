import type { FeedEvent } from '@smartpulse/cdc';
import type { Subject } from './subjects/subject.js';
import type { HistoryTable } from './subjects/tables.js';
import type { View } from './view.js';

interface Seen {
  readonly value: number;
  /** The row was seen to be gone since. */
  readonly gone: boolean;
}

/**
 * What somebody saw who asks a cache again and again: a key's values never go back, and a row that was gone does not come back as it was. Where rows
 * went or came back without a change to tell, this holds again from the end of the resync on that follows.
 */
export class Sight {
  readonly #subject: Subject;
  readonly #table: HistoryTable;
  readonly #seen = new Map<number, Seen>();
  #view: View | undefined;
  #mark: string | undefined;
  #resyncOf: string | undefined;
  #settled = true;

  constructor(subject: Subject, table: HistoryTable) {
    this.#subject = subject;
    this.#table = table;
  }

  announced({ kind }: FeedEvent): void {
    if (kind === 'resyncStarted') {
      this.#resyncOf = this.#now;
    } else if (kind === 'resyncCompleted' && this.#resyncOf === this.#now) {
      this.#settled = true;
      this.#seen.clear();
    }
  }

  /** @returns what went back, in words. */
  back(view: View): string | undefined {
    if (this.#mark !== this.#now || this.#view !== view) {
      this.#settled &&= this.#mark === this.#now || this.#mark === undefined;
      this.#mark = this.#now;
      this.#view = view;
      this.#seen.clear();
    }
    if (!this.#settled || !this.#subject.tracksSnapshots || view.onChange !== 'refresh') {
      return undefined;
    }
    for (const [key, value] of view.values) {
      const before = this.#seen.get(key);
      if (value === null) {
        this.#seen.set(key, { value: before?.value ?? -1, gone: true });
      } else if (before !== undefined && (value < before.value || (value === before.value && before.gone))) {
        return `key ${key} was ${before.gone ? 'gone after' : 'seen as'} ${before.value}, and then it was ${value}`;
      } else {
        this.#seen.set(key, { value, gone: false });
      }
    }
    return undefined;
  }

  get #now(): string {
    const { restores, upheavals } = this.#subject;
    return `${restores} ${upheavals.get(this.#table.name) ?? 0}`;
  }
}

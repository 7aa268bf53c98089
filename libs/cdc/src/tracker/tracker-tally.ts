import type { ResyncReason } from '../sink/change.sink.js';
import type { FailureKind } from '../source/change.source.js';
import type { TrackerCounts } from './tracker.state.js';

/** Failed attempts of one sort. */
export interface ErrorTally {
  /** The class name of the error. */
  readonly error: string;
  /** What it calls for. */
  readonly class: FailureKind | 'other';
  /** The server's own number, where the error has one. */
  readonly number: number | null;
  readonly count: number;
}

/** Sorts are few; whatever comes beyond is one sort, so that metrics stay small. */
const MOST_SORTS = 50;
const OTHERS = Object.freeze({ error: 'other', class: 'other', number: null });

/** An adapter's error says which of its server's errors it is by `failure.number`. */
function numberIn(error: Error): number | null {
  const failure: unknown = Reflect.get(error, 'failure');
  const number: unknown = typeof failure === 'object' && failure !== null ? Reflect.get(failure, 'number') : undefined;
  return typeof number === 'number' ? number : null;
}

/** The tracker's sums, in plain integers: the path of every change passes here. */
export class TrackerTally {
  pages = 0;
  changes = 0;
  snapshotRows = 0;
  poison = 0;
  idlePolls = 0;
  nudges = 0;
  heartbeats = 0;
  errors = 0;
  fenced = 0;
  tieDepth = 0;
  readonly resyncs: Partial<Record<ResyncReason, number>> = {};
  readonly #errors = new Map<string, ErrorTally>();

  resyncBegan(reason: ResyncReason): void {
    this.resyncs[reason] = (this.resyncs[reason] ?? 0) + 1;
  }

  failed(error: Error, kind: FailureKind): void {
    this.errors += 1;
    const number = numberIn(error);
    const key = `${error.name} ${kind} ${number}`;
    const isNew = !this.#errors.has(key);
    const counted = isNew && this.#errors.size >= MOST_SORTS ? 'other' : key;
    const before = this.#errors.get(counted);
    this.#errors.set(counted, {
      ...(counted === key ? { error: error.name, class: kind, number } : OTHERS),
      count: (before?.count ?? 0) + 1,
    });
  }

  /** Failed attempts by what failed. */
  get errorTallies(): readonly ErrorTally[] {
    return [...this.#errors.values()];
  }

  counts(): TrackerCounts {
    const { pages, changes, snapshotRows, poison, idlePolls, nudges, heartbeats, errors, fenced } = this;
    return {
      pages,
      changes,
      snapshotRows,
      poison,
      idlePolls,
      nudges,
      heartbeats,
      errors,
      fenced,
      resyncs: { ...this.resyncs },
    };
  }
}

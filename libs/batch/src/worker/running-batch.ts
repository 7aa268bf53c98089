import type { BatchEntry } from './batch-entry.js';

/** A batch that is in the handler. */
export class RunningBatch<TItem, TResult> {
  readonly controller = new AbortController();
  /** `true` since a drain gave it up: whatever the handler still answers is ignored. */
  abandoned = false;

  constructor(
    readonly id: string,
    readonly entries: readonly BatchEntry<TItem, TResult>[],
    readonly weight: number,
  ) {}
}

/** So many gaps are remembered, the latest: they matter only where what stands around them comes again. */
const MOST_GAPS = 64;

/** What names an entry. */
export interface EntryId {
  readonly ledgerId: bigint;
  readonly entryId: bigint;
}

interface Gap {
  readonly after: EntryId;
  readonly before: EntryId;
}

/**
 * Where the log has nothing for a subscription between one entry and a later one: markers of transactions, what was compacted away, what is acknowledged.
 */
export class LogGaps {
  readonly #gaps: Gap[] = [];
  #furthest: EntryId | undefined;
  /** The log ends in a gap: nothing comes behind `after`, though `before` is told to be its end. */
  #end: Gap | undefined;

  /** Gaps that are remembered. */
  get size(): number {
    return this.#gaps.length;
  }

  learn(after: EntryId, before: EntryId): void {
    if (this.covers(after, before)) {
      return;
    }
    this.#drop((gap) => stands(gap.after, after) >= 0 && stands(gap.before, before) <= 0);
    this.#gaps.push({ after: idOf(after), before: idOf(before) });
    this.#gaps.splice(0, this.#gaps.length - MOST_GAPS);
    if (this.#furthest === undefined || stands(before, this.#furthest) > 0) {
      this.#furthest = idOf(before);
    }
  }

  /** Nothing comes behind an entry, though the log is told to end at a later one. */
  learnEnd(after: EntryId, last: EntryId): void {
    this.#end = { after: idOf(after), before: idOf(last) };
  }

  /** Whether nothing is known to stand between two entries. */
  covers(after: EntryId, before: EntryId): boolean {
    return this.#gaps.some((gap) => stands(gap.after, after) <= 0 && stands(gap.before, before) >= 0);
  }

  /** Whether nothing is known to come behind an entry in a log that ends at `last`. */
  coversEnd(after: EntryId, last: EntryId): boolean {
    return this.#end !== undefined && stands(this.#end.after, after) <= 0 && stands(this.#end.before, last) >= 0;
  }

  /** An entry came: what it stands in is no gap, as where a broker has lost acknowledgements. */
  came(entry: EntryId): void {
    if (this.#end !== undefined && stands(entry, this.#end.after) > 0) {
      this.#end = undefined;
    }
    if (this.#furthest !== undefined && stands(entry, this.#furthest) < 0) {
      this.#drop((gap) => stands(gap.after, entry) < 0 && stands(gap.before, entry) > 0);
    }
  }

  clear(): void {
    this.#drop(() => true);
    this.#furthest = undefined;
    this.#end = undefined;
  }

  #drop(isOver: (gap: Gap) => boolean): void {
    const kept = this.#gaps.filter((gap) => !isOver(gap));
    this.#gaps.splice(0, this.#gaps.length, ...kept);
  }
}

/** Below 0: `one` stands before `other`. */
export function stands(one: EntryId, other: EntryId): number {
  if (one.ledgerId !== other.ledgerId) {
    return one.ledgerId < other.ledgerId ? -1 : 1;
  }
  return one.entryId < other.entryId ? -1 : Number(one.entryId > other.entryId);
}

/** Its place alone: what came with it is not to be kept. */
function idOf({ ledgerId, entryId }: EntryId): EntryId {
  return { ledgerId, entryId };
}

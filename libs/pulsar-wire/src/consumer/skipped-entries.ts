/** How often everything is asked for again because of one gap: it may be one of the log's own. */
const MOST_ASKS = 3;

/** What names an entry. */
interface EntryId {
  readonly ledgerId: bigint;
  readonly entryId: bigint;
}

/**
 * Notices entries that a broker skips on Exclusive and Failover: what it is reading from its log while everything is given back comes neither before
 * nor after, until everything is given back once more (seen with Pulsar 4.2.4). So the first new entry after that has to follow the
 * last one that was received before. Where it does not, something was skipped, or the log has a gap of its own, of transactions or compaction.
 */
export class SkippedEntries {
  #last: EntryId | undefined;
  #rewound = false;
  #asks = 0;

  /** The broker begins with what is unacknowledged, and nothing is under way. */
  reset(): void {
    this.#last = undefined;
    this.#rewound = false;
    this.#asks = 0;
  }

  /** Everything that is unacknowledged was given back. */
  givenBack(): void {
    this.#rewound = true;
  }

  /** Takes note of an entry that came. @returns whether entries in front of it were skipped, so that everything should be given back again, this one too. */
  precede({ ledgerId, entryId }: EntryId): boolean {
    const last = this.#last;
    if (last !== undefined && (ledgerId < last.ledgerId || (ledgerId === last.ledgerId && entryId <= last.entryId))) {
      return false;
    }
    const isGap = this.#rewound && last !== undefined && ledgerId === last.ledgerId && entryId > last.entryId + 1n;
    if (isGap && this.#asks < MOST_ASKS) {
      this.#asks += 1;
      return true;
    }
    this.#last = { ledgerId, entryId };
    this.#rewound = false;
    this.#asks = 0;
    return false;
  }
}

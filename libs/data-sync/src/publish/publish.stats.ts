/** What a publisher has done since the app began; counts only grow. */
export interface PublishStats {
  /** Envelopes with changes that the broker stored. */
  readonly publishedEnvelopes: number;
  /** Changes inside them. */
  readonly publishedChanges: number;
  /** Words about the feed itself: start, heartbeat, resync. */
  readonly controlEnvelopes: number;
  /** Envelopes that carry keys only, because their rows were too large or unreadable. */
  readonly keysOnly: number;
  /** Changes that could not be keyed or projected; each has a dead letter. */
  readonly poison: number;
  /** Hand-offs that the broker refused; the tracker offers them again. */
  readonly failures: number;
  /** Hand-offs under way now. */
  readonly inFlight: number;
}

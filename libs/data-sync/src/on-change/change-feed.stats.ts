/** What a change handler's feed has done since the app began; counts only grow. */
export interface ChangeFeedStats {
  /** Envelopes taken, of every kind. */
  readonly delivered: number;
  /** Calls of the handler that returned. */
  readonly handled: number;
  /** Changes left out because a newer one of their primary key was handled. */
  readonly removed: number;
  /** Snapshot rows left out because the handler did not ask for them. */
  readonly snapshotsLeftOut: number;
  /** Envelopes with a row that the contract's schema refuses; dead-lettered. */
  readonly invalid: number;
  /** Resync events. */
  readonly resyncs: number;
}

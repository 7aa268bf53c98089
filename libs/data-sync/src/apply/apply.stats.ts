/** What an applier has done since the app began; counts only grow. */
export interface ApplyStats {
  /** Envelopes of every kind that were taken. */
  readonly delivered: number;
  /** Cache operations by their answer. */
  readonly applied: number;
  readonly stale: number;
  readonly duplicates: number;
  readonly absent: number;
  readonly deferred: number;
  /** Changes of an epoch that is over: acknowledged, nothing done. */
  readonly outdated: number;
  /** Stamps above what the source says: dead-lettered, with an error in the log. */
  readonly untrusted: number;
  /** Envelopes that carried keys only. */
  readonly keysOnly: number;
  /** Keys that this app's key function makes different from the publisher's. */
  readonly rekeyed: number;
  /** Messages that went to the dead letter topic. */
  readonly deadLettered: number;
  /** Entries and leases removed because a table was read anew. */
  readonly swept: number;
  /** How often the source was asked for its version. */
  readonly questions: number;
}

/** The same, to be counted in. */
export type ApplyCounts = { -readonly [Name in Exclude<keyof ApplyStats, 'questions'>]: number };

/** All at zero. */
export function emptyApplyCounts(): ApplyCounts {
  return {
    delivered: 0,
    applied: 0,
    stale: 0,
    duplicates: 0,
    absent: 0,
    deferred: 0,
    outdated: 0,
    untrusted: 0,
    keysOnly: 0,
    rekeyed: 0,
    deadLettered: 0,
    swept: 0,
  };
}

/**
 * Where a commit stands in its database's history: `epoch` is the ordinal of that history (it moves only when the counter may
 * have gone back: restore, copy, new file), `version` the commit's number in it. All rows of one transaction share one version.
 */
export interface ChangeVersion {
  readonly epoch: bigint;
  readonly version: bigint;
}

/** Below 0: `a` is older; 0: equal; above 0: `a` is newer. */
export function compareChangeVersions(a: ChangeVersion, b: ChangeVersion): -1 | 0 | 1 {
  if (a.epoch !== b.epoch) {
    return a.epoch < b.epoch ? -1 : 1;
  }
  return a.version < b.version ? -1 : a.version > b.version ? 1 : 0;
}

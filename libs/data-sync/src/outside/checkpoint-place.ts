import type { Checkpoint } from '@smartpulse/cdc';
import { EntryVersion } from '@smartpulse/redis-cache';

/** Everything up to the version is handed off; below it, a part of it. */
const WHOLE = 1n;
const PART = 0n;

/**
 * How far a checkpoint has come, as something that only grows in an epoch: a bootstrap counts as what it began from, because a resync may begin where a
 * reader stands. Places inside one version are not told apart: their keys are the source's own.
 */
export function placeOf({ epoch, phase }: Checkpoint): EntryVersion {
  if (phase.kind === 'bootstrap') {
    return new EntryVersion(epoch, phase.fromVersion, WHOLE);
  }
  return phase.cursor === null
    ? new EntryVersion(epoch, phase.version, WHOLE)
    : new EntryVersion(epoch, phase.cursor.version, PART);
}

import { positionOf } from './judge.js';
import type { TableFeed } from './table-feed.js';
import type { TrackerSnapshot } from './tracker.state.js';

/** How far a feed is, as far as is known. */
export function progressOf(
  feed: TableFeed | undefined,
): Pick<TrackerSnapshot, 'epoch' | 'version' | 'currentVersion' | 'behind'> {
  const checkpoint = feed?.known;
  const currentVersion = feed?.currentVersion ?? null;
  if (checkpoint === undefined) {
    return { epoch: null, version: null, currentVersion, behind: null };
  }
  const { version } = positionOf(checkpoint);
  const behind = currentVersion === null ? null : currentVersion - version;
  return {
    epoch: checkpoint.epoch,
    version: checkpoint.phase.kind === 'streaming' ? version : null,
    currentVersion,
    behind: behind !== null && behind < 0n ? 0n : behind,
  };
}

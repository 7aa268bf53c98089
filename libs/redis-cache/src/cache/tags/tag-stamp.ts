import type { EntryVersion } from '../../version/entry-version.js';

/** A tag at the version that it had when what it tags was read. The entry holds as long as the tag has this very version. */
export interface TagStamp {
  readonly tag: string;
  readonly version: EntryVersion;
}

import type { Clock } from '@smartpulse/resilience';
import type { NamespaceNames } from '../../namespace/names.js';
import type { CacheStore } from '../../store/cache.store.js';
import { EntryVersion } from '../../version/entry-version.js';
import type { TagStamp } from './tag-stamp.js';

/** The tag that every entry of a tagged namespace carries; a name that no user can give. */
export const WHOLE_NAMESPACE = '*';
/** Most tags whose versions a replica remembers. */
const MAX_KNOWN = 10_000;

/** What a {@link TagBook} works with. */
export interface TagBookParts {
  readonly store: Pick<CacheStore, 'stamp'>;
  readonly names: NamespaceNames;
  readonly clock: Clock;
  /** How long the store keeps a tag that nobody asks for, milliseconds: at least as long as entries live. One that is gone gets a higher version, so that entries are old too early, never too late. */
  readonly lifeMs: number;
  /** Whether messages reach this replica, so that what it remembers is worth something. */
  trusted(): boolean;
}

interface Known {
  readonly version: EntryVersion;
  readonly readAtMs: number;
}

/**
 * The versions of tags, as far as this replica knows them. They are born in the store, only go up, and are read **before** what they tag: an entry whose tag has another
 * version by now was read before somebody invalidated it.
 */
export class TagBook {
  readonly #known = new Map<string, Known>();
  /** Of the book as a whole: what was forgotten may be behind the reply to a question that was asked before. */
  #edition = 0;

  constructor(private readonly parts: TagBookParts) {}

  /** How long the store keeps a tag. */
  get lifeMs(): number {
    return this.parts.lifeMs;
  }

  /** Whether entries with these tags hold; `undefined`: the store has to be asked. */
  holds(stamps: readonly TagStamp[]): boolean | undefined {
    let all: boolean | undefined = true;
    for (const { tag, version } of stamps) {
      const known = this.#current(tag);
      if (known !== undefined && known.compare(version) !== 0) {
        return false;
      }
      all = known === undefined ? undefined : all;
    }
    return all;
  }

  /** Like {@link holds}, and asks the store where need be. */
  async check(stamps: readonly TagStamp[]): Promise<boolean> {
    const held = this.holds(stamps);
    if (held !== undefined) {
      return held;
    }
    const now = await this.read(stamps.map(({ tag }) => tag));
    return stamps.every(({ version }, index) => now[index]?.version.compare(version) === 0);
  }

  /** The versions of tags; aligned with them. */
  async read(tags: readonly string[]): Promise<readonly TagStamp[]> {
    return await Promise.all(tags.map(async (tag) => ({ tag, version: await this.#read(tag) })));
  }

  /** A message or reply told a version. */
  learn(tag: string, version: EntryVersion): void {
    const before = this.#known.get(tag)?.version;
    this.#known.delete(tag);
    this.#known.set(tag, {
      version: before === undefined ? version : EntryVersion.max(before, version),
      readAtMs: this.parts.clock.monotonic(),
    });
    if (this.#known.size > MAX_KNOWN) {
      const [oldest] = this.#known.keys();
      this.forget(oldest ?? tag);
    }
  }

  /** The version of a tag is not known any more. */
  forget(tag: string): void {
    this.#known.delete(tag);
    this.#edition++;
  }

  /** Messages were lost: nothing that was known is worth anything. */
  clear(): void {
    this.#known.clear();
    this.#edition++;
  }

  #current(tag: string): EntryVersion | undefined {
    const known = this.parts.trusted() ? this.#known.get(tag) : undefined;
    // Asked for again at half of its life, the store keeps it.
    return known === undefined || this.parts.clock.monotonic() - known.readAtMs > this.parts.lifeMs / 2
      ? undefined
      : known.version;
  }

  async #read(tag: string): Promise<EntryVersion> {
    const known = this.#current(tag);
    if (known !== undefined) {
      return known;
    }
    const edition = this.#edition;
    const { store, names, lifeMs } = this.parts;
    const version = await store.stamp(names.tag(tag), lifeMs);
    if (edition === this.#edition && this.parts.trusted()) {
      this.learn(tag, version);
    }
    return EntryVersion.max(version, this.#current(tag) ?? version);
  }
}

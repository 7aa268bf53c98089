import { EmbeddedCacheServer, type EmbeddedCacheServerOptions } from '../../embedded/embedded-cache.server.js';
import type {
  ChangeReply,
  GivenVersion,
  SetReply,
  StoredEntry,
  StoreOrigin,
  StoreRefresh,
  StoreWrite,
} from '../../store/cache.store.js';
import type { EntryVersion } from '../../version/entry-version.js';

/** Who watches a server. */
export interface ServerObserver {
  /** What a write replaced. */
  onWrite?(key: string, before: StoredEntry | undefined, after: StoredEntry | undefined): void;
  /** An invalidation was executed, and told this version. */
  onInvalidated?(key: string, version: EntryVersion): void;
}

/** A server that shows what each write replaced. */
export class ObservedServer extends EmbeddedCacheServer {
  constructor(
    options: EmbeddedCacheServerOptions,
    private readonly observer: ServerObserver = {},
  ) {
    super(options);
  }

  override set(write: StoreWrite, leaseToken?: string): SetReply {
    return this.#observed(write.key, () => super.set(write, leaseToken));
  }

  override refresh(write: StoreRefresh): ChangeReply {
    return this.#observed(write.key, () => super.refresh(write));
  }

  override invalidate(key: string, version: GivenVersion, origin: StoreOrigin, tombstoneTtlMs: number): ChangeReply {
    const reply = super.invalidate(key, version, origin, tombstoneTtlMs);
    if (reply.version !== undefined) {
      this.observer.onInvalidated?.(key, reply.version);
    }
    return reply;
  }

  #observed<R>(key: string, call: () => R): R {
    const before = super.get(key);
    const reply = call();
    this.observer.onWrite?.(key, before, super.get(key));
    return reply;
  }
}

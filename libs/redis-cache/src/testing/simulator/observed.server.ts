import { EmbeddedCacheServer, type EmbeddedCacheServerOptions } from '../../embedded/embedded-cache.server.js';
import type { ChangeReply, SetReply, StoredEntry, StoreRefresh, StoreWrite } from '../../store/cache.store.js';

/** A server that shows what each write replaced. */
export class ObservedServer extends EmbeddedCacheServer {
  constructor(
    options: EmbeddedCacheServerOptions,
    private readonly onWrite: (before: StoredEntry | undefined, after: StoredEntry | undefined) => void,
  ) {
    super(options);
  }

  override set(write: StoreWrite, leaseToken?: string): SetReply {
    return this.#observed(write.key, () => super.set(write, leaseToken));
  }

  override refresh(write: StoreRefresh): ChangeReply {
    return this.#observed(write.key, () => super.refresh(write));
  }

  #observed<R>(key: string, call: () => R): R {
    const before = super.get(key);
    const reply = call();
    this.onWrite(before, super.get(key));
    return reply;
  }
}

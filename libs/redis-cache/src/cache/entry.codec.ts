import {
  CachePayloadTooLargeError,
  CacheTooManyFieldsError,
  CacheValueNotEncodableError,
} from '../redis-cache.errors.js';
import type { CacheNamespace } from '../namespace/define-cache.js';
import type { StoredEntry } from '../store/cache.store.js';
import { deepFreeze } from './deep-freeze.js';

/** Entries that a reader can be shown. */
export type UsableEntry = Extract<StoredEntry, { kind: 'value' | 'negative' }>;

/** Whether an entry can be shown to a reader. */
export function isUsable(entry: StoredEntry | undefined): entry is UsableEntry {
  return entry?.kind === 'value' || entry?.kind === 'negative';
}

/** Whether a value cannot be stored because of its size alone: readers get it all the same. */
export function isTooLarge(error: unknown): boolean {
  return CachePayloadTooLargeError.is(error) || CacheTooManyFieldsError.is(error);
}

/** A value in the two forms that the cache keeps: text in the store, decoded (and frozen) in memory. */
export interface EncodedValue<T> {
  readonly payload: string | null;
  readonly value: T | undefined;
  /** Of the payload, as UTF-8. */
  readonly bytes: number;
}

/** Between values and payloads: the namespace's codec, its size limit, and freezing. */
export class EntryCodec<T> {
  constructor(
    private readonly namespace: CacheNamespace<T>,
    private readonly freeze: boolean,
  ) {}

  /**
   * The value is decoded again from its text: every reader, the first one too, sees what the store will give, and none shares objects with the loader.
   *
   * @throws {@link CacheValueNotEncodableError}, {@link CachePayloadTooLargeError}, {@link CacheTooManyFieldsError}
   */
  encode(value: T | undefined): EncodedValue<T> {
    if (value === undefined) {
      return { payload: null, value: undefined, bytes: 0 };
    }
    let payload: string;
    let decoded: T;
    try {
      payload = this.namespace.codec.encode(value);
      decoded = this.namespace.codec.decode(payload);
    } catch (error) {
      if (CacheTooManyFieldsError.is(error)) {
        throw error;
      }
      throw new CacheValueNotEncodableError(this.namespace.name, error);
    }
    const bytes = Buffer.byteLength(payload);
    if (bytes > this.namespace.maxPayloadBytes) {
      throw new CachePayloadTooLargeError(this.namespace.name, bytes, this.namespace.maxPayloadBytes);
    }
    return { payload, value: this.#seal(decoded), bytes };
  }

  /** `false`: the codec cannot read the text (another release wrote it). */
  decode(entry: UsableEntry): { readonly value: T | undefined; readonly bytes: number } | false {
    if (entry.kind === 'negative') {
      return { value: undefined, bytes: 0 };
    }
    try {
      return { value: this.#seal(this.namespace.codec.decode(entry.payload)), bytes: entry.payload.length };
    } catch {
      // Counted by the caller as `undecodable`: an entry that cannot be read is a miss, never a failed read.
      return false;
    }
  }

  #seal(value: T): T {
    return this.freeze ? deepFreeze(value) : value;
  }
}

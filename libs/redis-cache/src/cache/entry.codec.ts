import {
  CachePayloadTooLargeError,
  CacheTooManyFieldsError,
  CacheValueNotEncodableError,
} from '../redis-cache.errors.js';
import type { CacheNamespace } from '../namespace/define-cache.js';
import type { StoredEntry } from '../store/cache.store.js';
import { deepFreeze, freezeTree } from './deep-freeze.js';
import type { TagStamp } from './tags/tag-stamp.js';
import { taggedPayload, untagged } from './tags/tagged-payload.js';

const NO_TAGS: readonly TagStamp[] = Object.freeze([]);

/** Entries that a reader can be shown. */
export type UsableEntry = Extract<StoredEntry, { kind: 'value' | 'negative' }>;

/** Whether an entry can be shown to a reader. */
export function isUsable(entry: StoredEntry | undefined): entry is UsableEntry {
  return entry?.kind === 'negative' || (entry?.kind === 'value' && entry.ttlMs > 0);
}

/** Whether a value cannot be stored because of its size alone: readers get it all the same. */
export function isTooLarge(error: unknown): boolean {
  return CachePayloadTooLargeError.is(error) || CacheTooManyFieldsError.is(error);
}

/** A value as readers are shown it. */
export interface ShownValue<T> {
  readonly value: T | undefined;
}

/** A value in the two forms that the cache keeps: text in the store, decoded (and frozen) in memory. */
export interface EncodedValue<T> {
  readonly payload: string | null;
  /** It says "no such thing". */
  readonly negative: boolean;
  /** Of the payload, as UTF-8. */
  readonly bytes: number;
  readonly shown: ShownValue<T>;
  readonly tags?: readonly TagStamp[] | undefined;
}

/** What was read of an entry. */
export interface DecodedValue<T> extends ShownValue<T> {
  readonly bytes: number;
  readonly tags?: readonly TagStamp[] | undefined;
}

/** Decodes when the first reader asks: of what is set and never read nothing is decoded. */
class LazyValue<T> implements ShownValue<T> {
  #text: string | undefined;
  #value: T | undefined;

  constructor(
    text: string,
    private readonly decode: (text: string) => T,
  ) {
    this.#text = text;
  }

  get value(): T | undefined {
    if (this.#text !== undefined) {
      this.#value = this.decode(this.#text);
      this.#text = undefined;
    }
    return this.#value;
  }
}

const NO_VALUE: ShownValue<never> = Object.freeze({ value: undefined });

/** Between values and payloads: the namespace's codec, its size limit, and freezing. */
export class EntryCodec<T> {
  readonly #decode: (text: string) => T;

  /** @param freeze whether readers are shown what they cannot change. */
  constructor(
    private readonly namespace: CacheNamespace<T>,
    freeze: boolean,
  ) {
    const { codec } = namespace;
    const sealed = codec.plain === true ? freezeTree<T> : deepFreeze<T>;
    this.#decode = freeze ? (text) => sealed(codec.decode(text)) : (text) => codec.decode(text);
  }

  /**
   * Readers are shown what its text gives: every one of them, the first one too, sees what the store will give, and none shares objects with the loader. A codec
   * that is not {@link CacheCodec.plain} shows at once whether it can read what it wrote.
   *
   * @throws {@link CacheValueNotEncodableError}, {@link CachePayloadTooLargeError}, {@link CacheTooManyFieldsError}
   */
  encode(value: T | undefined, tags: readonly TagStamp[] = NO_TAGS): EncodedValue<T> {
    const encoded = this.#encode(value);
    return this.namespace.tagged ? { ...encoded, payload: taggedPayload(tags, encoded.payload), tags } : encoded;
  }

  #encode(value: T | undefined): EncodedValue<T> {
    if (value === undefined) {
      return { payload: null, negative: true, bytes: 0, shown: NO_VALUE };
    }
    const { codec } = this.namespace;
    let payload: string;
    let shown: ShownValue<T>;
    try {
      payload = codec.encode(value);
      shown = codec.plain === true ? new LazyValue(payload, this.#decode) : { value: this.#decode(payload) };
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
    return { payload, negative: false, bytes, shown };
  }

  /** `false`: the codec cannot read the text (another release wrote it). */
  decode(entry: UsableEntry): DecodedValue<T> | false {
    if (entry.kind === 'negative') {
      return { value: undefined, bytes: 0 };
    }
    try {
      const bytes = entry.payload.length;
      if (!this.namespace.tagged) {
        return { value: this.#decode(entry.payload), bytes };
      }
      const { tags, body } = untagged(entry.payload);
      return { value: body === null ? undefined : this.#decode(body), bytes, tags };
    } catch {
      // Counted by the caller as `undecodable`: an entry that cannot be read is a miss, never a failed read.
      return false;
    }
  }
}

/** Turns the values of a namespace into text and back. Both directions are synchronous and free of side effects. */
export interface CacheCodec<T> {
  /** Throws on what it cannot represent. */
  encode(value: T): string;
  /** Throws on text that it did not write: such an entry counts as a miss. */
  decode(text: string): T;
  /**
   * `true`: `decode` reads whatever `encode` wrote, and answers a new tree of plain objects and arrays each time, as JSON does. It spares the cache to decode
   * what nobody has asked for yet, and to look at each part of a value twice. Default `false`.
   */
  readonly plain?: boolean | undefined;
}

/**
 * JSON, the default: readable in the store and without a dependency. A bigint is refused by `JSON.stringify` itself; a `Date` comes back as
 * text, so declare such fields as `string`.
 */
export function jsonCacheCodec<T>(): CacheCodec<T> {
  return {
    plain: true,
    encode(value) {
      const text = JSON.stringify(value) as string | undefined;
      if (text === undefined) {
        throw new TypeError('The value has no JSON form.');
      }
      return text;
    },
    // The reader of a namespace vouches for its type: what `encode` wrote is what `decode` gives.
    decode: (text): T => JSON.parse(text),
  };
}

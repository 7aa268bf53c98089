/**
 * Turns values into payloads and back. A codec is stateless; `decode` throws on what it cannot read, and the message then goes to the
 * dead letter topic.
 */
export interface PulsarCodec<T> {
  /** The media type, `application/json`. */
  readonly contentType: string;
  encode(value: T): Uint8Array;
  decode(payload: Uint8Array): T;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * JSON in UTF-8; the default. It reads what `JSON.parse` reads and trusts the shape: give the event a schema to have it checked.
 * `bigint` has no JSON form and is refused by `encode`.
 */
export function jsonCodec<T>(): PulsarCodec<T> {
  return JSON_CODEC as PulsarCodec<T>;
}

/** It has no state, so that all types share it. */
const JSON_CODEC: PulsarCodec<unknown> = Object.freeze({
  contentType: 'application/json',
  encode: (value: unknown) => {
    const text: string | undefined = JSON.stringify(value);
    if (text === undefined) {
      throw new TypeError(`A value of type ${typeof value} has no JSON form.`);
    }
    return encoder.encode(text);
  },
  decode: (payload: Uint8Array): unknown => JSON.parse(decoder.decode(payload)),
});

/** The payload as it is. */
export const bytesCodec: PulsarCodec<Uint8Array> = Object.freeze({
  contentType: 'application/octet-stream',
  encode: (value: Uint8Array) => value,
  decode: (payload: Uint8Array) => payload,
});

/** Text in UTF-8; malformed sequences are refused. */
export const textCodec: PulsarCodec<string> = Object.freeze({
  contentType: 'text/plain; charset=utf-8',
  encode: (value: string) => encoder.encode(value),
  decode: (payload: Uint8Array) => decoder.decode(payload),
});

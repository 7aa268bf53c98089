import type { PulsarCodec } from '@smartpulse/pulsar';
import type { ChangeEnvelope } from './change-envelope.js';
import { decodeEnvelope, encodeEnvelope, ENVELOPE_CONTENT_TYPE } from './envelope.codec.js';

/** For the publisher, which has the bytes already: it measured them. */
export const encodedEnvelopeCodec: PulsarCodec<Uint8Array> = Object.freeze({
  contentType: ENVELOPE_CONTENT_TYPE,
  encode: (payload: Uint8Array) => payload,
  decode: (payload: Uint8Array) => payload,
});

/** For consumers: a payload that is no envelope is refused with `MalformedEnvelopeError`, and the message dead-lettered. */
export const envelopeCodec: PulsarCodec<ChangeEnvelope> = Object.freeze({
  contentType: ENVELOPE_CONTENT_TYPE,
  encode: encodeEnvelope,
  decode: decodeEnvelope,
});

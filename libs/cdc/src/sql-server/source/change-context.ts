import { ChangeContextError } from '../sql-server.errors.js';

const MARK = Buffer.from('SP');
/** Without and with a trace behind the name; other applications leave other bytes, so ours begin with a mark and the form. */
const [PLAIN, TRACED] = [1, 2];
/** The mark, the form, the length of the name. */
const HEAD_BYTES = MARK.length + 2;
/** SQL Server keeps 128 bytes. */
const MOST_BYTES = 128 - HEAD_BYTES;
/** Trace id, span id, flags. */
const TRACE_BYTES = 16 + 8 + 1;
const TRACEPARENT = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

/** What a writer left beside its changes. */
export interface ChangeContext {
  /** Who wrote. */
  readonly origin: string;
  /** The trace in which it wrote, as W3C's `traceparent`; `null` = none. */
  readonly traceparent: string | null;
}

/**
 * The bytes that a writer leaves beside its changes: who wrote, and in which trace, where there is room for it beside the name.
 *
 * @param origin at most 124 bytes in UTF-8; of more than 99 the trace is left out.
 * @param traceparent as W3C has it; anything else is left out.
 * @throws ChangeContextError
 */
export function encodeChangeContext(origin: string, traceparent: string | null = null): Uint8Array {
  const name = Buffer.from(origin, 'utf8');
  if (name.length === 0 || name.length > MOST_BYTES) {
    throw ChangeContextError.ofOrigin(name.length, MOST_BYTES);
  }
  const trace = TRACEPARENT.exec(traceparent ?? '');
  const traced = trace !== null && name.length + TRACE_BYTES <= MOST_BYTES;
  const head = Buffer.concat([MARK, Buffer.from([traced ? TRACED : PLAIN, name.length])]);
  return Buffer.concat([head, name, ...(traced ? [Buffer.from(trace.slice(1).join(''), 'hex')] : [])]);
}

/** What the writer left, or `null` when the bytes are not ours. */
export function decodeChangeContext(bytes: Uint8Array | null): ChangeContext | null {
  if (bytes === null || bytes.length <= HEAD_BYTES || !MARK.every((byte, index) => bytes[index] === byte)) {
    return null;
  }
  const [, , form, length = 0] = bytes;
  const nameEnd = HEAD_BYTES + length;
  const end = nameEnd + (form === TRACED ? TRACE_BYTES : 0);
  // A fixed binary column pads with zeros.
  if ((form !== PLAIN && form !== TRACED) || length === 0 || bytes.length < end) {
    return null;
  }
  const text = (from: number, to: number, encoding: 'utf8' | 'hex'): string =>
    Buffer.from(bytes.subarray(from, to)).toString(encoding);
  const trace = text(nameEnd, end, 'hex');
  return {
    origin: text(HEAD_BYTES, nameEnd, 'utf8'),
    traceparent: form === TRACED ? `00-${trace.slice(0, 32)}-${trace.slice(32, 48)}-${trace.slice(48)}` : null,
  };
}

import { z } from 'zod';
import { MalformedEnvelopeError } from '../data-sync.errors.js';
import type { ChangeEnvelope } from './change-envelope.js';

const decimal = z.string().regex(/^(?:0|[1-9]\d{0,24})$/, { error: 'is no decimal text' });
const wireValue = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const wireRow = z.record(z.string(), wireValue);
const instant = z.string().regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/, { error: 'is no UTC instant' });

const change = z.strictObject({
  pk: wireRow,
  op: z.enum(['upsert', 'delete', 'snapshot']),
  version: decimal,
  columns: z.array(z.string()).nullable(),
  row: wireRow.nullable(),
});

const envelope = z.strictObject({
  format: z.literal(1),
  kind: z.enum(['change', 'heartbeat', 'resync', 'seqStart']),
  schemaVersion: z.number().int().min(1),
  source: z.string().min(1),
  table: z.string().min(1),
  key: z.string().min(1).nullable(),
  epoch: decimal,
  version: decimal,
  changes: z.array(change),
  keysOnly: z.boolean(),
  fence: decimal,
  seq: decimal,
  prevSeq: decimal.nullable(),
  origin: z.string().nullable(),
  committedAt: instant.nullable(),
  resync: z.strictObject({ state: z.enum(['started', 'completed']), reason: z.string().min(1) }).nullable(),
});

/** What the broker is told about the payload. */
export const ENVELOPE_CONTENT_TYPE = 'application/vnd.smartpulse.change.v1+json';

const text = new TextEncoder();
// Fatal: a byte that is no UTF-8 must not become a replacement character in somebody's key.
const bytes = new TextDecoder('utf-8', { fatal: true });

/** Writes an envelope. What it answers is read back by {@link decodeEnvelope} unchanged. */
export function encodeEnvelope(value: ChangeEnvelope): Uint8Array {
  return text.encode(JSON.stringify(value));
}

/**
 * Reads an envelope of format 1: every field present, none unknown, and all of them in agreement.
 *
 * @throws {@link MalformedEnvelopeError} that names the field and never shows a value.
 */
export function decodeEnvelope(payload: Uint8Array): ChangeEnvelope {
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.decode(payload));
  } catch (error) {
    // Without the cause: a parser's message quotes the payload.
    throw new MalformedEnvelopeError(error instanceof TypeError ? 'the payload is no UTF-8' : 'the payload is no JSON');
  }
  const result = envelope.safeParse(parsed);
  if (!result.success) {
    const issue = result.error.issues[0];
    const place = issue === undefined || issue.path.length === 0 ? 'the envelope' : issue.path.map(String).join('.');
    throw new MalformedEnvelopeError(`${place}: ${describe(issue)}`);
  }
  const disagreement = disagreementOf(result.data);
  if (disagreement !== undefined) {
    throw new MalformedEnvelopeError(disagreement);
  }
  return result.data;
}

function describe(issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code === 'unrecognized_keys') {
    return 'has fields that format 1 does not know';
  }
  return issue?.code === 'invalid_format' ? issue.message : 'is missing or of the wrong type';
}

/** What the fields say against one another. */
function disagreementOf(value: ChangeEnvelope): string | undefined {
  if (value.prevSeq !== null && BigInt(value.prevSeq) >= BigInt(value.seq)) {
    return 'prevSeq is not below seq';
  }
  if ((value.kind === 'resync') !== (value.resync !== null)) {
    return `kind "${value.kind}" and resync do not agree`;
  }
  if (value.kind !== 'change') {
    return value.key !== null || value.changes.length > 0 || value.keysOnly
      ? `kind "${value.kind}" carries changes`
      : undefined;
  }
  if (value.key === null || value.changes.length === 0) {
    return 'kind "change" has no key or no changes';
  }
  let highest = -1n;
  for (const [index, one] of value.changes.entries()) {
    const version = BigInt(one.version);
    highest = version > highest ? version : highest;
    if (one.row !== null && (value.keysOnly || one.op === 'delete')) {
      return `changes.${index} carries a row that cannot be there`;
    }
  }
  return highest === BigInt(value.version) ? undefined : 'version is not the highest of changes';
}

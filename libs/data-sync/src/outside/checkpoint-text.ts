import { type Checkpoint, type CheckpointKey, isResyncReason, type ResyncReason } from '@smartpulse/cdc';
import { z } from 'zod';
import { MalformedCheckpointError } from '../data-sync.errors.js';

const bigint = z
  .string()
  .regex(/^\d+$/)
  .transform((text) => BigInt(text));
const reason = z.custom<ResyncReason>((text) => typeof text === 'string' && isResyncReason(text));

const schema = z.object({
  format: z.literal(1),
  consumer: z.string(),
  source: z.string(),
  table: z.string(),
  epoch: bigint,
  objectId: z.string(),
  beginVersion: bigint,
  schemaHash: z.string(),
  sinkInstance: z.string(),
  // Texts of before have none.
  upToDateAtMs: z.number().nullable().default(null),
  phase: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('bootstrap'), reason, fromVersion: bigint, afterKey: z.string().nullable() }),
    z.object({
      kind: z.literal('streaming'),
      version: bigint,
      cursor: z.object({ version: bigint, key: z.string() }).nullable(),
    }),
  ]),
});

/** A checkpoint as text: JSON, with integers as decimal text. */
export function checkpointText(checkpoint: Checkpoint): string {
  return JSON.stringify({ format: 1, ...checkpoint }, (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
}

/** @throws {@link MalformedCheckpointError} when it is none, or of another format. */
export function readCheckpoint(text: string): Checkpoint {
  try {
    const { format: _, ...checkpoint } = schema.parse(JSON.parse(text));
    return checkpoint;
  } catch (cause) {
    throw new MalformedCheckpointError(cause);
  }
}

/** The name of a record: one per consumer, source and table, whatever these are made of. */
export function recordName(kind: string, ...parts: readonly string[]): string {
  // `~` stands for nothing, which no name may be; encoded text has none of the others' characters.
  return [kind, ...parts.map((part) => encodeURIComponent(part).replace(/[*~]/g, escaped) || '~')].join(':');
}

/** The parts of a checkpoint's name. */
export function keyParts({ consumer, source, table }: CheckpointKey): readonly string[] {
  return [consumer, source, table];
}

function escaped(character: string): string {
  return character === '*' ? '%2A' : '%7E';
}

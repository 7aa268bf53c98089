import { UnsupportedOperationError } from '../client/client.errors.js';
import type { MessageMetadata } from '../protocol/metadata/metadata.tables.js';

/** Why an entry is not handed out that is one part of a larger message. It stays unacknowledged: a third of a message is none, and dropping it would lose the whole. */
export function chunkRefusal({ numChunksFromMsg = 0 }: MessageMetadata): UnsupportedOperationError | undefined {
  return numChunksFromMsg > 1
    ? new UnsupportedOperationError(
        'The entry is one chunk of a larger message.',
        'Consume it with a client that puts chunks together, or let the producer send smaller messages.',
      )
    : undefined;
}

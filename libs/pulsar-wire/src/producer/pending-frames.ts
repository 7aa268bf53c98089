import { crc32c } from '../protocol/checksum/crc32c.js';
import { CHECKSUM_MAGIC } from '../protocol/entry/entry.js';
import { MessageId } from '../protocol/message-id/message-id.js';
import type { WireError } from '../pulsar-wire.errors.js';
import type { Generation } from './flush-generations.js';

/** Those who wait for the messages of one frame: arrays, so that a message costs no closure of ours. */
export class Senders {
  readonly #resolve: ((id: MessageId) => void)[] = [];
  readonly #reject: ((cause: WireError) => void)[] = [];
  /** Payload bytes of the messages. */
  bytes = 0;
  /** The same for all of them; undefined while there are none. */
  generation: Generation | undefined;

  get count(): number {
    return this.#resolve.length;
  }

  add(
    bytes: number,
    resolve: (id: MessageId) => void,
    reject: (cause: WireError) => void,
    generation: Generation,
  ): void {
    this.generation = generation;
    this.#resolve.push(resolve);
    this.#reject.push(reject);
    this.bytes += bytes;
  }

  resolveAll(ledgerId: bigint, entryId: bigint, partition: number, batched: boolean): void {
    const { length } = this.#resolve;
    for (let index = 0; index < length; index++) {
      const id = batched
        ? new MessageId(ledgerId, entryId, partition, index, length)
        : new MessageId(ledgerId, entryId, partition);
      this.#resolve[index]?.(id);
    }
  }

  rejectAll(cause: WireError): void {
    for (const reject of this.#reject) {
      reject(cause);
    }
  }
}

/** One SEND frame, kept as it is until its receipt: it may have to be sent again. */
export interface PendingFrame {
  readonly bytes: Buffer;
  readonly sequenceId: bigint;
  readonly highestSequenceId: bigint;
  readonly batched: boolean;
  readonly senders: Senders;
  /** When its first message was accepted, on the monotonic clock. */
  readonly acceptedAtMs: number;
  /** Its id was on the way before, in a frame that timed out or in another life of the producer's name. */
  readonly repeatsId: boolean;
  /** `no`: nothing of it can be stored. `again`: a receipt may be that of an earlier time, while the bytes are still on their way. */
  written: 'no' | 'once' | 'again';
}

/** Whether a SEND frame still is what its checksum says: if so, the damage happened on the way. */
export function isIntact(frame: Buffer): boolean {
  const at = 8 + frame.readUInt32BE(4);
  return frame.readUInt16BE(at) === CHECKSUM_MAGIC && frame.readUInt32BE(at + 2) === crc32c(frame, at + 6);
}

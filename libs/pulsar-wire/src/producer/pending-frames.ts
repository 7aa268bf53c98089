import { crc32c } from '../protocol/checksum/crc32c.js';
import { CHECKSUM_MAGIC } from '../protocol/entry/entry.js';
import { MessageId } from '../protocol/message-id/message-id.js';
import type { WireError } from '../pulsar-wire.errors.js';
import type { FlushGeneration } from './flush-generations.js';
import type { SendListener } from './producer.options.js';

/** Who waits for one message. */
export interface Sender {
  /** Of its payload. */
  readonly bytes: number;
  readonly listener: SendListener;
  readonly generation: FlushGeneration;
}

/** Those who wait for the messages of one frame. */
export class Senders {
  readonly #all: Sender[] = [];
  /** Payload bytes of the messages. */
  bytes = 0;

  get count(): number {
    return this.#all.length;
  }

  /** The same for all of them; undefined while there are none. */
  get generation(): FlushGeneration | undefined {
    return this.#all[0]?.generation;
  }

  add(sender: Sender): void {
    this.#all.push(sender);
    this.bytes += sender.bytes;
  }

  resolveAll(ledgerId: bigint, entryId: bigint, partition: number, batched: boolean): void {
    const { length } = this.#all;
    for (let index = 0; index < length; index++) {
      const id = batched
        ? new MessageId(ledgerId, entryId, partition, index, length)
        : new MessageId(ledgerId, entryId, partition);
      this.#all[index]?.listener.onStored(id);
    }
  }

  rejectAll(cause: WireError): void {
    for (const { listener } of this.#all) {
      listener.onFailed(cause);
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

import { WireFormatError } from '../bytes/byte-reader.js';
import { type ClientMessage, HEADER_BYTES, PacketStatus, PacketType } from './packet.js';

/** No message that a test sends is larger; one that is would only fill the memory. */
const LARGEST_MESSAGE_BYTES = 64 * 1024 * 1024;

const KNOWN_TYPES: ReadonlySet<number> = new Set(Object.values(PacketType));

/** Joins bytes, however they were cut on the way, to packets, and packets to messages. */
export class PacketAssembler {
  private received: Buffer[] = [];
  private receivedBytes = 0;
  private payloads: Buffer[] = [];
  private payloadBytes = 0;
  private status = 0;

  /**
   * Takes the next bytes and gives the messages that they complete, in order.
   *
   * @throws WireFormatError when a header makes no sense, or a message is larger than 64 MiB.
   */
  *push(chunk: Buffer): Generator<ClientMessage> {
    this.received.push(chunk);
    this.receivedBytes += chunk.length;
    for (let packet = this.nextPacket(); packet !== undefined; packet = this.nextPacket()) {
      const type = packet.readUInt8(0);
      const status = packet.readUInt8(1);
      this.status |= status;
      this.payloads.push(packet.subarray(HEADER_BYTES));
      this.payloadBytes += packet.length - HEADER_BYTES;
      if (this.payloadBytes > LARGEST_MESSAGE_BYTES) {
        throw new WireFormatError(`a message of more than ${LARGEST_MESSAGE_BYTES} bytes`);
      }
      if ((status & PacketStatus.endOfMessage) !== 0) {
        const message = { type, status: this.status, payload: Buffer.concat(this.payloads) };
        this.payloads = [];
        this.payloadBytes = 0;
        this.status = 0;
        yield message;
      }
    }
  }

  private nextPacket(): Buffer | undefined {
    if (this.receivedBytes < HEADER_BYTES) {
      return undefined;
    }
    const joined = this.received.length === 1 ? this.received[0]! : Buffer.concat(this.received);
    const type = joined.readUInt8(0);
    const length = joined.readUInt16BE(2);
    if (!KNOWN_TYPES.has(type) || length < HEADER_BYTES) {
      throw new WireFormatError(`a packet of type 0x${type.toString(16)} with ${length} bytes`);
    }
    if (joined.length < length) {
      this.received = [joined];
      return undefined;
    }
    const rest = joined.subarray(length);
    this.received = rest.length === 0 ? [] : [rest];
    this.receivedBytes = rest.length;
    return joined.subarray(0, length);
  }
}

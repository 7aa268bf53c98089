import type { ByteSink } from './byte-sink.js';
import { HEADER_BYTES, PacketStatus } from './packet.js';

/** One message on its way out: cut into packets of the negotiated size, the last of which ends it. */
export class PacketStream {
  private pending: Buffer[] = [];
  private pendingBytes = 0;
  private packetNumber = 0;

  constructor(
    private readonly sink: ByteSink,
    private readonly type: number,
    private readonly packetSize: number,
    private readonly processId: number,
  ) {}

  /** Adds bytes; full packets leave as long as more follows them. */
  async append(bytes: Buffer): Promise<void> {
    this.pending.push(bytes);
    this.pendingBytes += bytes.length;
    const room = this.packetSize - HEADER_BYTES;
    if (this.pendingBytes <= room) {
      return;
    }
    let rest = Buffer.concat(this.pending);
    const packets: Buffer[] = [];
    while (rest.length > room) {
      packets.push(this.packet(rest.subarray(0, room), 0));
      rest = rest.subarray(room);
    }
    this.pending = [rest];
    this.pendingBytes = rest.length;
    await this.sink.write(Buffer.concat(packets));
  }

  /** Lets everything leave that was added, in a packet that is not the last. */
  async flush(): Promise<void> {
    const bytes = this.takePending();
    if (bytes.length > 0) {
      await this.sink.write(this.packet(bytes, 0));
    }
  }

  async end(): Promise<void> {
    await this.sink.write(this.packet(this.takePending(), PacketStatus.endOfMessage));
  }

  private takePending(): Buffer {
    const bytes = Buffer.concat(this.pending);
    this.pending = [];
    this.pendingBytes = 0;
    return bytes;
  }

  private packet(payload: Buffer, status: number): Buffer {
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt8(this.type, 0);
    header.writeUInt8(status, 1);
    header.writeUInt16BE(HEADER_BYTES + payload.length, 2);
    header.writeUInt16BE(this.processId & 0xffff, 4);
    this.packetNumber = (this.packetNumber + 1) & 0xff;
    header.writeUInt8(this.packetNumber, 6);
    return Buffer.concat([header, payload]);
  }
}

import { setImmediate as turn } from 'node:timers/promises';
import { type ByteSink, ConnectionGone } from '../packets/byte-sink.js';

/** Resets the connection when so many bytes have left. */
export class CuttingSink implements ByteSink {
  constructor(
    private readonly inner: ByteSink,
    private left: number,
    private readonly cut: () => void,
  ) {}

  async write(bytes: Buffer): Promise<void> {
    const allowed = bytes.subarray(0, this.left);
    this.left -= allowed.length;
    await this.inner.write(allowed);
    if (this.left === 0) {
      // What was written must reach the client: a reset drops what the socket still holds.
      await turn();
      this.cut();
      throw new ConnectionGone();
    }
  }
}

/** Lets bytes leave a few at a time, each piece in a turn of its own. */
export class TricklingSink implements ByteSink {
  constructor(
    private readonly inner: ByteSink,
    private readonly piece: number,
  ) {}

  async write(bytes: Buffer): Promise<void> {
    for (let start = 0; start < bytes.length; start += this.piece) {
      await this.inner.write(bytes.subarray(start, start + this.piece));
      await turn();
    }
  }
}

/** Keeps a whole reply back until it is released, or for ever. */
export class HoldingSink implements ByteSink {
  private readonly held: Buffer[] = [];

  write(bytes: Buffer): Promise<void> {
    this.held.push(bytes);
    return Promise.resolve();
  }

  async release(to: ByteSink): Promise<void> {
    await to.write(Buffer.concat(this.held));
  }
}

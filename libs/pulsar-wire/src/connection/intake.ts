import { FrameIntake } from '../protocol/frame/frame-intake.js';
import type { FrameSink } from '../protocol/frame/frame-reader.js';

/** Who hears of what a socket read. */
export interface IntakeListener {
  readonly onRead: () => void;
  readonly onFrame: FrameSink;
  /** The stream cannot be read any further. */
  readonly onFailed: (error: unknown) => void;
}

/**
 * Memory for what a socket reads. It is there before the connection is, because a socket is told of it when it is made; a broker says
 * nothing before it was spoken to, so nobody misses anything.
 */
export class SocketIntake {
  readonly frames: FrameIntake = new FrameIntake((bytes, start, end) => this.#listener?.onFrame(bytes, start, end));
  #listener: IntakeListener | undefined;

  listen(listener: IntakeListener): void {
    this.#listener = listener;
  }

  /** Where the next bytes belong. */
  room(): Uint8Array {
    return this.frames.room();
  }

  /** So many came. Never throws: who listens is told. */
  filled(count: number): void {
    this.#listener?.onRead();
    try {
      this.frames.filled(count);
    } catch (error) {
      this.#listener?.onFailed(error);
    }
  }
}

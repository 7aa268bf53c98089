import type { Duplex } from 'node:stream';
import type { Clock } from '@smartpulse/resilience';
import type { WebSocket } from 'ws';
import { Heartbeat } from './heartbeat.js';

/** What an open socket tells. */
export interface LiveSocketListener {
  onText(text: string): void;
  /** Once; nothing comes after it. */
  onClose(code: number, reason: string): void;
}

const CLOSE_TIMEOUT_MS = 5_000;
const NORMAL_CLOSURE = 1_000;

/**
 * Characters that leave in one write: enough that small frames do not cost a write each, and so few that the broker reads the first of a turn while the others
 * are being made.
 */
const MAX_GATHERED = 32_768;

/** One WebSocket from its handshake to its end: frames of a turn leave in few writes, silence ends it. */
export class LiveSocket {
  readonly #socket: WebSocket;
  readonly #stream: Duplex | undefined;
  readonly #clock: Clock;
  readonly #heartbeat: Heartbeat;
  readonly #echoes = new Map<string, (wasRead: boolean) => void>();
  readonly #onEnd: (() => void)[] = [];
  #listener: LiveSocketListener | undefined;
  #corked = false;
  /** Characters since the last write. */
  #gathered = 0;
  #pings = 0;
  #ended: { readonly code: number; readonly reason: string } | undefined;

  /** @param stream what lies below the socket, for {@link send} to gather frames. */
  constructor(socket: WebSocket, stream: Duplex | undefined, clock: Clock) {
    this.#socket = socket;
    this.#stream = stream;
    this.#clock = clock;
    this.#heartbeat = new Heartbeat(
      clock,
      () => this.#ping(),
      () => socket.terminate(),
    );
    socket.on('message', (data) => {
      this.#heartbeat.heard();
      if (Buffer.isBuffer(data)) {
        this.#listener?.onText(data.toString('utf8'));
      }
    });
    socket.on('pong', (data) => {
      this.#heartbeat.heard();
      this.#echo(data.toString('utf8'));
    });
    // No close may follow an error by itself, for instance after an illegal close code.
    socket.on('error', () => socket.terminate());
    socket.on('close', (code, reason) => this.#end(code, reason.toString('utf8')));
  }

  /** Whether frames can leave: from the first sign of its end on none can, while `onClose` is still to come. */
  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  listen(listener: LiveSocketListener): void {
    this.#listener = listener;
    if (this.#ended !== undefined) {
      listener.onClose(this.#ended.code, this.#ended.reason);
    }
  }

  /** @param onWritten hears when the frame has left this process, or that it has not. */
  send(text: string, onWritten?: (error?: Error | null) => void): void {
    this.#cork();
    this.#socket.send(text, onWritten);
    this.#gathered += text.length;
    if (this.#gathered >= MAX_GATHERED && this.#corked) {
      this.#gathered = 0;
      this.#stream?.uncork();
      this.#stream?.cork();
    }
  }

  /** Answers whether the peer has read everything that was sent before; `false` when the socket ends first, for nobody knows then. */
  roundTrip(): Promise<boolean> {
    return new Promise((resolve) => {
      if (this.#ended === undefined) {
        this.#echoes.set(this.#ping(), resolve);
      } else {
        resolve(false);
      }
    });
  }

  terminate(): void {
    this.#socket.terminate();
  }

  /** Ends the socket in order, after everything that was sent. Resolves when it is closed. */
  close(): Promise<void> {
    if (this.#ended !== undefined) {
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const timer = this.#clock.setTimer(CLOSE_TIMEOUT_MS, () => this.#socket.terminate());
      this.#onEnd.push(() => {
        timer.cancel();
        resolve();
      });
      this.#socket.close(NORMAL_CLOSURE);
    });
  }

  #ping(): string {
    const name = String(++this.#pings);
    if (this.isOpen) {
      this.#socket.ping(name);
    }
    return name;
  }

  #echo(name: string): void {
    this.#echoes.get(name)?.(true);
    this.#echoes.delete(name);
  }

  #cork(): void {
    const stream = this.#stream;
    if (stream === undefined || this.#corked) {
      return;
    }
    this.#corked = true;
    this.#gathered = 0;
    stream.cork();
    // After the promises of this turn: what they send still joins.
    process.nextTick(() => {
      this.#corked = false;
      stream.uncork();
    });
  }

  #end(code: number, reason: string): void {
    this.#ended = { code, reason };
    this.#heartbeat.stop();
    this.#echoes.forEach((resolve) => resolve(false));
    this.#onEnd.forEach((resolve) => resolve());
    this.#echoes.clear();
    this.#listener?.onClose(code, reason);
  }
}

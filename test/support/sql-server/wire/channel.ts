import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WireFormatError } from './bytes/byte-reader.js';
import { encrypt, type ServerCertificate } from './login/tls-tunnel.js';
import { type ByteSink, ConnectionGone } from './packets/byte-sink.js';
import { PacketAssembler } from './packets/packet-assembler.js';
import { type ClientMessage, PacketType } from './packets/packet.js';

/** A client has one request at a time; more that wait are no client of ours. */
const MOST_WAITING = 8;

/** One client's connection as messages in and bytes out. */
export class Channel implements ByteSink {
  private readonly ended = new AbortController();
  private readonly assembler = new PacketAssembler();
  private readonly messages: ClientMessage[] = [];
  private wake: (() => void) | undefined;
  private stream: Duplex;
  /** Takes attentions while a request runs; without it they are messages like others. */
  onAttention: (() => void) | undefined;
  /** Why the channel ended itself, when what it read was no TDS. */
  failure: Error | undefined;

  constructor(private readonly socket: Socket) {
    this.stream = socket;
    socket.setNoDelay(true);
    const gone = (): void => {
      this.ended.abort(new ConnectionGone());
      this.wake?.();
    };
    // A client may reset its connection at any time, and that is all there is to know. No `close` follows a reset of ours that the
    // system refuses because the end is on its way already.
    socket.on('error', () => {
      socket.destroy();
      gone();
    });
    socket.once('close', gone);
    socket.on('data', this.receive);
  }

  /** Aborts when the connection is gone. */
  get gone(): AbortSignal {
    return this.ended.signal;
  }

  /** The next message; `undefined` when the connection is gone. */
  async next(): Promise<ClientMessage | undefined> {
    while (this.messages.length === 0 && !this.gone.aborted) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    return this.gone.aborted ? undefined : this.messages.shift();
  }

  async write(bytes: Buffer): Promise<void> {
    if (this.gone.aborted || !this.stream.writable) {
      throw new ConnectionGone();
    }
    if (this.stream.write(bytes)) {
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const settle = (): void => {
        this.stream.off('drain', settle);
        this.gone.removeEventListener('abort', settle);
        if (this.gone.aborted) {
          reject(new ConnectionGone());
        } else {
          resolve();
        }
      };
      this.stream.once('drain', settle);
      this.gone.addEventListener('abort', settle, { once: true });
    });
  }

  /** Encrypts from here on. @throws what the handshake fails with. */
  async secure(certificate: ServerCertificate, packetSize: number): Promise<void> {
    this.socket.off('data', this.receive);
    const encrypted = await encrypt(this.socket, certificate, packetSize);
    encrypted.on('error', () => this.socket.destroy());
    encrypted.on('data', this.receive);
    this.stream = encrypted;
  }

  /** Ends politely, behind what was written. */
  end(): void {
    this.stream.end();
  }

  /** Ends with a reset, as a crash or a cut cable looks to the client. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  /** Waits until the client or somebody else ends the connection. */
  async frozen(): Promise<never> {
    if (!this.gone.aborted) {
      await new Promise<void>((resolve) => {
        this.gone.addEventListener('abort', () => resolve(), { once: true });
      });
    }
    throw new ConnectionGone();
  }

  private readonly receive = (chunk: Buffer): void => {
    try {
      for (const message of this.assembler.push(chunk)) {
        this.take(message);
      }
    } catch (error) {
      this.failure = error instanceof Error ? error : new Error(String(error));
      this.socket.destroy();
    }
  };

  private take(message: ClientMessage): void {
    if (message.type === PacketType.attention && this.onAttention !== undefined) {
      this.onAttention();
      return;
    }
    if (this.messages.length >= MOST_WAITING) {
      throw new WireFormatError(`${MOST_WAITING} requests sent ahead of their replies`);
    }
    this.messages.push(message);
    this.wake?.();
  }
}

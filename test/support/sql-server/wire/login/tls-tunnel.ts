import { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { PacketStream } from '../packets/packet-stream.js';
import { HEADER_BYTES, PacketType } from '../packets/packet.js';

/** A certificate with its key, both PEM. */
export interface ServerCertificate {
  readonly certificate: string;
  readonly privateKey: string;
}

/**
 * Encrypts a connection the way TDS 7 does: the handshake travels inside pre-login packets, everything after it bare.
 *
 * Resolves when the handshake is done. The socket's data is the tunnel's from this call on.
 *
 * @throws what the handshake fails with.
 */
export async function encrypt(socket: Socket, certificate: ServerCertificate, packetSize: number): Promise<TLSSocket> {
  const tunnel = new HandshakeTunnel(socket, packetSize);
  const encrypted = new TLSSocket(tunnel, {
    isServer: true,
    secureContext: createSecureContext({
      cert: certificate.certificate,
      key: certificate.privateKey,
      // Of TLS 1.3 the last messages of the handshake look like data: TDS 7 servers stop at 1.2, too.
      maxVersion: 'TLSv1.2',
    }),
  });
  await new Promise<void>((resolve, reject) => {
    encrypted.once('secure', () => {
      encrypted.off('error', reject);
      resolve();
    });
    encrypted.once('error', reject);
    socket.once('close', () => reject(new Error('The connection ended during the TLS handshake')));
  });
  return encrypted;
}

/** Unwraps what TLS reads and wraps what it writes, until the client's first bare record: from there on both are bare. */
class HandshakeTunnel extends Duplex {
  private wrapped = true;
  private unread: Buffer = Buffer.alloc(0);
  private flight: Buffer[] = [];

  constructor(
    private readonly socket: Socket,
    private readonly packetSize: number,
  ) {
    super();
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.once('end', () => this.push(null));
    socket.once('close', () => this.destroy());
  }

  private receive(chunk: Buffer): void {
    this.unread = Buffer.concat([this.unread, chunk]);
    while (this.wrapped && this.unread.length >= HEADER_BYTES) {
      if (this.unread.readUInt8(0) !== PacketType.preLogin) {
        this.wrapped = false;
        break;
      }
      const length = this.unread.readUInt16BE(2);
      if (length < HEADER_BYTES || this.unread.length < length) {
        break;
      }
      this.push(this.unread.subarray(HEADER_BYTES, length));
      this.unread = this.unread.subarray(length);
    }
    if (!this.wrapped && this.unread.length > 0) {
      const bare = this.unread;
      this.unread = Buffer.alloc(0);
      if (!this.push(bare)) {
        this.socket.pause();
      }
    }
  }

  override _read(): void {
    this.socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (!this.wrapped) {
      this.socket.write(chunk, done);
      return;
    }
    // One flight is one message, however many records TLS writes for it: the client counts answers.
    this.flight.push(chunk);
    if (this.flight.length === 1) {
      setImmediate(() => this.sendFlight());
    }
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.socket.destroy();
    done(error);
  }

  private sendFlight(): void {
    const flight = Buffer.concat(this.flight);
    this.flight = [];
    const sink = {
      write: (bytes: Buffer): Promise<void> =>
        new Promise((resolve, reject) => {
          this.socket.write(bytes, (error) => (error ? reject(error) : resolve()));
        }),
    };
    const message = new PacketStream(sink, PacketType.reply, this.packetSize, 0);
    message
      .append(flight)
      .then(() => message.end())
      .catch((error: Error) => this.destroy(error));
  }
}

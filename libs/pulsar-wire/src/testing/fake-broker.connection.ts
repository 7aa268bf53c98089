import type { Duplex } from 'node:stream';
import { decodeCommand, encodeCommand } from '../protocol/command/command-codec.js';
import type { Command, CommandFields, CommandInput, CommandName } from '../protocol/command/commands.js';
import { FrameReader } from '../protocol/frame/frame-reader.js';

/** One connection, seen by the broker. */
export class FakeConnection {
  /** Everything that the client has sent, in order. */
  readonly received: Command[] = [];
  /** Cuts what is sent to the client into pieces of so many bytes; 0 = as it is. */
  chunkBytes = 0;
  /** What the client sends is not read any more: half open. */
  deaf = false;
  /** What the broker sends does not leave any more. */
  mute = false;
  readonly #stream: Duplex;
  readonly #client: Duplex;

  /**
   * @param address what was dialled, `pulsar://host:port`.
   * @param client the other end of it.
   * @param onCommand called for each command, with the frame that it came in.
   * @param onEnd called once when the client is gone.
   */
  constructor(
    readonly address: string,
    stream: Duplex,
    client: Duplex,
    onCommand: (connection: FakeConnection, command: Command, frame: Buffer) => void,
    onEnd: (connection: FakeConnection) => void,
  ) {
    this.#stream = stream;
    this.#client = client;
    client.once('close', () => stream.destroy());
    const reader = new FrameReader((bytes, start, end) => {
      const command = decodeCommand(bytes, start, end);
      if (command.name !== 'unknown') {
        this.received.push(command);
        onCommand(this, command, bytes.subarray(start, end));
      }
    });
    stream.on('data', (chunk: Buffer) => {
      if (!this.deaf) {
        reader.push(chunk);
      }
    });
    stream.on('error', () => stream.destroy());
    stream.on('end', () => stream.end());
    stream.on('close', () => onEnd(this));
  }

  get isOpen(): boolean {
    return !this.#stream.destroyed;
  }

  /** Everything of one name that the client has sent. */
  all<N extends CommandName>(name: N): readonly CommandFields<N>[] {
    return this.received.flatMap((command) => (isNamed(command, name) ? [command.fields] : []));
  }

  /** Sends a command. */
  send<N extends CommandName>(name: N, fields: CommandInput<N>): void {
    this.raw(encodeCommand(name, fields));
  }

  /** Sends bytes as they are. */
  raw(bytes: Uint8Array): void {
    if (this.#stream.destroyed || this.mute) {
      return;
    }
    const step = this.chunkBytes === 0 ? bytes.length : this.chunkBytes;
    for (let at = 0; at < bytes.length; at += step) {
      this.#stream.write(bytes.subarray(at, at + step));
    }
  }

  /** Ends the connection without a word. */
  cut(): void {
    this.#stream.destroy();
    this.#client.destroy();
  }
}

function isNamed<N extends CommandName>(
  command: Command,
  name: N,
): command is Command & { readonly name: N; readonly fields: CommandFields<N> } {
  return command.name === name;
}

import { connect, type Socket } from 'node:net';
import {
  BatchWriter,
  type Command,
  type CommandInput,
  type CommandName,
  decodeCommand,
  decodeMessageHeader,
  encodeCommand,
  findCommand,
  INITIAL_POSITION,
  SendFrameEncoder,
  SUBSCRIPTION_TYPE,
} from '@smartpulse/pulsar-wire';
import type { Settings } from './job.ts';
import type { ByteWay } from './way.ts';

const ID = 1;
/** The command of a frame lies in its first bytes; what follows is skipped. */
const HEAD_BYTES = 256;
const READ_BYTES = 524_288;
const LARGE_BYTES = 32_768;

/** One batch as the clients make it, once, and how many messages it has. */
interface Prepared {
  readonly frame: Buffer;
  readonly messages: number;
}

/**
 * What the bytes alone cost in Node, under any client: one frame that was made beforehand is written again and again and its receipts are
 * counted; what is received goes into one buffer that nobody looks at, and each entry is acknowledged whole.
 */
export async function preparedFrames(settings: Settings): Promise<ByteWay> {
  const stream = await FrameStream.open(new URL(settings.serviceUrl));
  await stream.ask('connect', { clientVersion: 'bench', protocolVersion: 21 }, 'connected');
  let requestId = 0;
  return {
    publish: async (topic, messages, bytes, started) => {
      await stream.ask('lookup', { topic, requestId: requestId++ }, 'lookupResponse');
      await stream.ask('producer', { topic, producerId: ID, requestId: requestId++ }, 'producerSuccess');
      const batch = prepare(settings, bytes);
      const stop = started();
      await pump(stream, batch, Math.ceil(messages / batch.messages), Math.floor(settings.window / batch.messages));
      const taken = stop();
      await stream.ask('closeProducer', { producerId: ID, requestId: requestId++ }, 'success');
      return taken;
    },
    consume: async (topic, subscription, messages, bytes, started) => {
      const stop = started();
      await stream.ask('lookup', { topic, requestId: requestId++ }, 'lookupResponse');
      const subscriptionType = SUBSCRIPTION_TYPE.Shared;
      const initialPosition = INITIAL_POSITION.earliest;
      await stream.ask(
        'subscribe',
        { topic, subscription, subscriptionType, initialPosition, consumerId: ID, requestId: requestId++ },
        'success',
      );
      const perEntry = prepare(settings, bytes).messages;
      await drain(stream, Math.floor(messages / perEntry), perEntry, settings.window);
      const taken = stop();
      await stream.ask('closeConsumer', { consumerId: ID, requestId: requestId++ }, 'success');
      return taken;
    },
    close: async () => stream.close(),
  };
}

function prepare({ batchMessages, batchBytes }: Settings, bytes: number): Prepared {
  const writer = new BatchWriter(batchBytes);
  const payload = new Uint8Array(bytes).fill(0x78);
  while (writer.count < batchMessages && writer.tryAdd({ payload })) {
    // Until it is full.
  }
  const messages = writer.count;
  const highestSequenceId = BigInt(messages - 1);
  const metadata = { producerName: 'bench', sequenceId: 0n, highestSequenceId, publishTimeMs: 0 };
  const header = { producerId: ID, sequenceId: 0n, highestSequenceId, metadata };
  return { frame: writer.finish(new SendFrameEncoder(), header, batchBytes * 2), messages };
}

/** Without deduplication a broker stores the same frame as often as it comes. */
async function pump(stream: FrameStream, { frame }: Prepared, frames: number, window: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    let sent = 0;
    let stored = 0;
    const fill = (): void => {
      for (; sent < frames && sent - stored < window; sent++) {
        stream.write(frame);
      }
    };
    stream.listen((type, head) => {
      if (type === 'sendReceipt') {
        stored++;
        fill();
        if (stored === frames) {
          resolve();
        }
      } else {
        reject(new Error(`${type}: ${JSON.stringify(head.toString('latin1'))}`));
      }
    });
    fill();
  });
}

async function drain(stream: FrameStream, entries: number, perEntry: number, window: number): Promise<void> {
  await new Promise<void>((resolve) => {
    let received = 0;
    let acknowledged = 0;
    let spent = 0;
    stream.listen((type, head) => {
      if (type === 'ackResponse') {
        acknowledged++;
      } else if (type === 'message') {
        const { start, end } = rangeOf(head);
        const { ledgerId, entryId } = decodeMessageHeader(head, start, end);
        received++;
        const ackSet = new Int32Array(0);
        const messageIds = [{ ledgerId, entryId, ackSet }];
        stream.send('ack', { consumerId: ID, ackType: 0, messageIds, requestId: received });
        spent += perEntry;
        if (spent >= window / 2) {
          stream.send('flow', { consumerId: ID, messagePermits: spent });
          spent = 0;
        }
      }
      if (acknowledged >= entries) {
        resolve();
      }
    });
    stream.send('flow', { consumerId: ID, messagePermits: window });
  });
}

function rangeOf(head: Buffer): { readonly start: number; readonly end: number } {
  return findCommand(head, 0, 4 + head.readUInt32BE(0));
}

type OnFrame = (type: Command['name'] | 'unknown', head: Buffer) => void;

/** Frames on a socket: their first bytes are looked at, the rest is counted off. */
class FrameStream {
  readonly #socket: Socket;
  /** Of the frame at hand, with its size in front. */
  readonly #head = Buffer.alloc(4 + HEAD_BYTES);
  #headBytes = 0;
  /** Of the frame at hand, behind its head. */
  #rest = 0;
  #isCorked = false;
  #onFrame: OnFrame = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', (error) => {
      throw error;
    });
  }

  static open({ hostname, port }: URL): Promise<FrameStream> {
    return new Promise((resolve, reject) => {
      const buffer = Buffer.alloc(READ_BYTES);
      const socket = connect({
        host: hostname,
        port: Number(port),
        noDelay: true,
        onread: {
          buffer,
          callback: (count) => {
            stream.#take(buffer, count);
            return true;
          },
        },
      });
      const stream = new FrameStream(socket);
      socket.once('connect', () => resolve(stream));
      socket.once('error', reject);
    });
  }

  listen(onFrame: OnFrame): void {
    this.#onFrame = onFrame;
  }

  send<N extends CommandName>(name: N, fields: CommandInput<N>): void {
    this.write(encodeCommand(name, fields));
  }

  /** Small frames leave in one system call per turn, a batch in one of its own, as the wire client does it. */
  write(frame: Buffer): void {
    if (!this.#isCorked && frame.length < LARGE_BYTES) {
      this.#isCorked = true;
      this.#socket.cork();
      setImmediate(() => {
        this.#isCorked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(frame);
  }

  async ask<N extends CommandName>(name: N, fields: CommandInput<N>, answer: CommandName): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.listen((type, head) => {
        if (type === answer) {
          resolve();
        } else if (type === 'error') {
          reject(new Error(head.toString('latin1')));
        }
      });
      this.send(name, fields);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(bytes: Buffer, count: number): void {
    for (let at = 0; at < count;) {
      if (this.#rest > 0) {
        const skipped = Math.min(this.#rest, count - at);
        this.#rest -= skipped;
        at += skipped;
      } else {
        at += this.#takeHead(bytes, at, count);
      }
    }
  }

  #takeHead(bytes: Buffer, from: number, count: number): number {
    const size = this.#headBytes < 4 ? undefined : this.#head.readUInt32BE(0);
    const wanted = size === undefined ? 4 : 4 + Math.min(size, HEAD_BYTES);
    const copied = bytes.copy(this.#head, this.#headBytes, from, Math.min(count, from + wanted - this.#headBytes));
    this.#headBytes += copied;
    if (size !== undefined && this.#headBytes === wanted) {
      this.#headBytes = 0;
      this.#rest = 4 + size - wanted;
      this.#frame(this.#head.subarray(4, wanted));
    }
    return copied;
  }

  #frame(head: Buffer): void {
    const { name } = decodeCommand(head, 0, 4 + head.readUInt32BE(0));
    if (name === 'closeProducer' || name === 'closeConsumer') {
      // It has no way back, and would wait for ever.
      throw new Error(`The broker took the topic away: ${name}`);
    }
    if (name === 'ping') {
      this.send('pong', {});
    } else if (name !== 'pong') {
      this.#onFrame(name, head);
    }
  }
}

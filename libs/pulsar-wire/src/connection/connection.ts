import type { Duplex } from 'node:stream';
import { ConnectionError, toWireError } from '../client/client.errors.js';
import type { ClientEvent } from '../client/client.options.js';
import type { Clock, Timer } from '../client/time.js';
import type { WireError } from '../pulsar-wire.errors.js';
import { decodeCommandAt, encodeCommand, findCommand } from '../protocol/command/command-codec.js';
import { type CommandFields, type CommandInput, type CommandName, COMMANDS } from '../protocol/command/commands.js';
import {
  DEFAULT_MAX_MESSAGE_BYTES,
  FRAME_HEADROOM_BYTES,
  FrameReader,
  type FrameSink,
} from '../protocol/frame/frame-reader.js';
import { decodeMessageHeader, decodeSendReceipt } from '../protocol/frame/hot-commands.js';
import { BrokerRefusedError } from './broker-error.js';
import { type Answer, CommandRouter } from './command-router.js';
import type { SocketIntake } from './intake.js';
import { PendingRequests } from './pending-requests.js';
import type { ConsumerPort, ProducerPort } from './ports.js';
import { addressUrl, type BrokerAddress, hostPort } from './service-url.js';
import { currentToken, type TokenSource } from './token.js';
import { TurnWriter } from './turn-writer.js';

/** What a {@link Connection} is made of. */
export interface ConnectionSettings {
  readonly clock: Clock;
  readonly token: TokenSource | undefined;
  readonly operationTimeoutMs: number;
  readonly keepAliveMs: number;
  readonly nextId: () => number;
  readonly emit: (event: ClientEvent) => void;
}

/** What we speak; the broker answers the lower of the two. */
const PROTOCOL_VERSION = 21;
/** What is left to leave when a client closes is a few commands: everything else was waited for. */
const CLOSE_TIMEOUT_MS = 5_000;
const CLIENT_VERSION = 'smartpulse-pulsar-wire/0.1.0';
const SEND_RECEIPT = COMMANDS.sendReceipt.type;
const MESSAGE = COMMANDS.message.type;

/** One stream to one broker, for all producers and consumers that it serves: handshake, keep-alive, requests, dispatch. */
export class Connection {
  readonly address: string;
  readonly #requests: PendingRequests<Answer>;
  readonly #router: CommandRouter;
  readonly #reader: FrameReader;
  readonly #writer: TurnWriter;
  readonly #tls: boolean;
  #keepAlive: Timer | undefined;
  #heard = true;
  #ready: { resolve: () => void; reject: (error: WireError) => void } | undefined;
  #ended: WireError | undefined;
  #maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES;
  #protocolVersion = 0;

  private constructor(
    private readonly stream: Duplex,
    private readonly intake: SocketIntake,
    address: BrokerAddress,
    private readonly settings: ConnectionSettings,
    private readonly onEnd: (connection: Connection) => void,
  ) {
    this.address = addressUrl(address);
    this.#tls = address.tls;
    this.#writer = new TurnWriter(stream);
    this.#requests = new PendingRequests(settings.clock);
    this.#router = new CommandRouter(this, this.#requests, settings.emit);
    const onFrame: FrameSink = (bytes, start, end) => this.#onFrame(bytes, start, end);
    this.#reader = new FrameReader(onFrame);
    intake.listen({
      onFrame,
      onRead: () => {
        this.#heard = true;
      },
      onFailed: (error) => this.#onUnreadable(error),
    });
    // Of a stream that does not read into the intake; else it never comes.
    stream.on('data', (chunk: Buffer) => this.#onData(chunk));
    stream.on('error', (cause: Error) => this.destroy(this.#broken('failed', cause)));
    stream.on('close', () => this.destroy(this.#broken('was closed by the other side')));
    stream.on('end', () => this.destroy(this.#broken('was ended by the other side')));
  }

  /**
   * Shakes hands on a fresh stream.
   *
   * @param intake what the stream may read into instead of giving `data`.
   * @param broker the broker to be spoken to when `address` is a proxy.
   * @param signal ends the attempt and the stream.
   */
  static async open(
    stream: Duplex,
    intake: SocketIntake,
    address: BrokerAddress,
    broker: BrokerAddress | undefined,
    settings: ConnectionSettings,
    signal: AbortSignal,
    onEnd: (connection: Connection) => void,
  ): Promise<Connection> {
    const connection = new Connection(stream, intake, address, settings, onEnd);
    const onAbort = (): void => connection.destroy(toWireError(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await connection.#handshake(broker);
      return connection;
    } catch (error) {
      const cause = toWireError(error);
      connection.destroy(cause);
      throw cause;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Whether it speaks TLS: of a lookup's two addresses, the one of this kind is taken. */
  get tls(): boolean {
    return this.#tls;
  }

  /** The largest message that the broker takes, in bytes; known after the handshake. */
  get maxMessageBytes(): number {
    return this.#maxMessageBytes;
  }

  /** The agreed version of the protocol. */
  get protocolVersion(): number {
    return this.#protocolVersion;
  }

  /** Why it ended, once it has. */
  get ended(): WireError | undefined {
    return this.#ended;
  }

  /** Requests that wait for their answer. */
  get pendingRequests(): number {
    return this.#requests.size;
  }

  /**
   * Sends a request and waits for what answers it.
   *
   * @param fields makes the request with the id that it is given.
   * @param answer the command that answers it; another one is an error.
   * @param timeoutMs 0 = none. Default: the client's `operationTimeoutMs`.
   */
  async request<N extends CommandName, A extends CommandName>(
    name: N,
    fields: (requestId: number) => CommandInput<N>,
    answer: A,
    timeoutMs: number = this.settings.operationTimeoutMs,
  ): Promise<CommandFields<A>> {
    if (this.#ended !== undefined) {
      throw this.#ended;
    }
    const requestId = this.settings.nextId();
    const frame = encodeCommand(name, fields(requestId));
    const answered = this.#requests.add(requestId, name, timeoutMs);
    this.write(frame);
    const command = await answered;
    if (command.name !== answer) {
      throw new BrokerRefusedError(name, 0, `an answer of type ${command.name}`);
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the name says which fields these are
    return command.fields as CommandFields<A>;
  }

  /** Sends a command that nobody answers. */
  send<N extends CommandName>(name: N, fields: CommandInput<N>): void {
    this.write(encodeCommand(name, fields));
  }

  /** Sends a whole frame; small ones leave at the end of the turn of the event loop. */
  write(frame: Uint8Array): void {
    if (this.#ended !== undefined) {
      return;
    }
    this.#writer.write(frame);
  }

  addProducer(id: number, port: ProducerPort): void {
    this.#router.addProducer(id, port);
  }

  /** Does nothing unless `port` is the one that is registered. */
  removeProducer(id: number, port: ProducerPort): void {
    this.#router.removeProducer(id, port);
  }

  addConsumer(id: number, port: ConsumerPort): void {
    this.#router.addConsumer(id, port);
  }

  /** Does nothing unless `port` is the one that is registered. */
  removeConsumer(id: number, port: ConsumerPort): void {
    this.#router.removeConsumer(id, port);
  }

  /** Lets what is written leave, for 5 seconds at most, then ends the stream. */
  close(): void {
    if (this.#ended === undefined) {
      this.#writer.flush();
      // On a line that takes nothing any more it would never end, and the socket hold the process.
      const limit = this.settings.clock.setTimer(CLOSE_TIMEOUT_MS, () => this.stream.destroy());
      this.stream.end(() => {
        limit.cancel();
        this.stream.destroy();
      });
      this.#finish(this.#broken('was closed by this client'));
    }
  }

  /** Ends it at once; everything on it is told. */
  destroy(cause: WireError): void {
    if (this.#ended === undefined) {
      this.#finish(cause);
      this.stream.destroy();
    }
  }

  #finish(cause: WireError): void {
    this.#ended = cause;
    this.#keepAlive?.cancel();
    this.#reader.close();
    this.intake.frames.close();
    this.#ready?.reject(cause);
    this.#ready = undefined;
    this.onEnd(this);
    this.#router.end(cause);
  }

  async #handshake(broker: BrokerAddress | undefined): Promise<void> {
    const token = this.settings.token === undefined ? undefined : await currentToken(this.settings.token);
    if (this.#ended !== undefined) {
      throw this.#ended;
    }
    const connected = new Promise<void>((resolve, reject) => {
      this.#ready = { resolve, reject };
    });
    this.send('connect', {
      clientVersion: CLIENT_VERSION,
      protocolVersion: PROTOCOL_VERSION,
      authMethodName: token === undefined ? undefined : 'token',
      authData: token === undefined ? undefined : Buffer.from(token, 'utf8'),
      proxyToBrokerUrl: broker === undefined ? undefined : hostPort(broker),
      // Only what this client really handles: each flag is a promise to the broker.
      featureFlags: {
        authRefresh: token !== undefined,
        brokerEntryMetadata: true,
        partialProducer: true,
        getPartitionedMetadataWithoutAutoCreation: true,
      },
    });
    await connected;
    this.#watch();
  }

  #watch(): void {
    this.#keepAlive = this.settings.clock.setTimer(
      this.settings.keepAliveMs,
      () => {
        if (!this.#heard) {
          this.destroy(this.#broken(`gave no sign of life for ${this.settings.keepAliveMs} ms`));
          return;
        }
        this.#heard = false;
        this.send('ping', {});
        this.#watch();
      },
      { unref: true },
    );
  }

  #onData(chunk: Buffer): void {
    this.#heard = true;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      this.#onUnreadable(error);
    }
  }

  #onUnreadable(error: unknown): void {
    // A stream that was misread once cannot be trusted again.
    this.destroy(this.#broken('failed to be read', error));
  }

  #onFrame(bytes: Buffer, start: number, end: number): void {
    if (this.#ended !== undefined) {
      return;
    }
    const range = findCommand(bytes, start, end);
    if (this.#ready !== undefined) {
      this.#onHandshake(decodeCommandAt(bytes, range));
    } else if (range.type === MESSAGE) {
      // Views on the entry go to the application; what other commands carry is copied.
      const { slab } = this.intake.frames;
      slab?.hold();
      this.#router.entry(decodeMessageHeader(bytes, range.start, range.end), bytes, range.commandEnd, end, slab);
    } else if (range.type === SEND_RECEIPT) {
      this.#router.receipt(decodeSendReceipt(bytes, range.start, range.end));
    } else {
      this.#onCommand(decodeCommandAt(bytes, range));
    }
  }

  #onHandshake(command: Answer): void {
    if (command.name === 'connected') {
      this.#onConnected(command.fields);
    } else if (command.name === 'authChallenge') {
      void this.#answerChallenge();
    } else if (command.name === 'error') {
      this.destroy(new BrokerRefusedError('connect', command.fields.error, command.fields.message));
    } else {
      this.destroy(this.#broken(`began with the command ${command.name}`));
    }
  }

  #onCommand(command: Answer): void {
    if (command.name === 'ping') {
      this.send('pong', {});
    } else if (command.name === 'authChallenge') {
      void this.#answerChallenge();
    } else if (command.name !== 'pong') {
      this.#router.route(command);
    }
  }

  #onConnected({ protocolVersion, maxMessageSize }: CommandFields<'connected'>): void {
    this.#protocolVersion = Math.max(1, protocolVersion ?? 1);
    if (maxMessageSize !== undefined && maxMessageSize > 0) {
      this.#maxMessageBytes = maxMessageSize;
      this.#reader.maxFrameBytes = maxMessageSize + FRAME_HEADROOM_BYTES;
      this.intake.frames.maxFrameBytes = this.#reader.maxFrameBytes;
    }
    this.#ready?.resolve();
    this.#ready = undefined;
  }

  async #answerChallenge(): Promise<void> {
    try {
      const token = await currentToken(this.settings.token ?? '');
      this.send('authResponse', {
        clientVersion: CLIENT_VERSION,
        protocolVersion: PROTOCOL_VERSION,
        response: { authMethodName: 'token', authData: Buffer.from(token, 'utf8') },
      });
    } catch (error) {
      this.destroy(toWireError(error));
    }
  }

  #broken(problem: string, cause?: unknown): ConnectionError {
    return new ConnectionError(this.address, problem, { ambiguous: true, cause });
  }
}

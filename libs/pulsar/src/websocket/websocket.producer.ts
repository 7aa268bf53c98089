import { FlushGenerations } from '@smartpulse/pulsar-wire';
import type { Clock, Timer } from '@smartpulse/resilience';
import { Fifo } from '../in-process/fifo.js';
import { PulsarClosedError, PulsarError } from '../pulsar.errors.js';
import { brokerFailure, sendAborted } from '../transport/broker-failure.js';
import type {
  MessageId,
  OutgoingMessage,
  SendListener,
  TransportProducer,
  TransportProducerOptions,
} from '../transport/pulsar.transport.js';
import { encodeFrame, withContext } from './outgoing-frame.js';
import type { PendingSend } from './pending-send.js';
import { readSendAnswer } from './send-answer.js';
import { sendFailure } from './send-failure.js';
import { ReconnectingSocket, type ReconnectingSocketParts } from './reconnecting-socket.js';
import { producerEndpoint } from './websocket.endpoint.js';
import { WebSocketMessageId } from './websocket.message-id.js';

/**
 * One producer over a WebSocket. The window, the linger and the deadline are on this side: the broker's side has no limit of its own that
 * waits, and no flush. A batch leaves in one write and is gathered again over there.
 */
export class WebSocketProducer implements TransportProducer {
  readonly topic: string;
  readonly #options: TransportProducerOptions;
  readonly #clock: Clock;
  readonly #closeTimeoutMs: number;
  readonly #onClose: (producer: WebSocketProducer) => void;
  readonly #socket: ReconnectingSocket;
  /** No room yet. */
  readonly #waiting = new Fifo<PendingSend>();
  /** Within the window, not written: lingering, or between two connections. */
  readonly #ready = new Fifo<PendingSend>();
  readonly #written = new Map<string, PendingSend>();
  /** Everything that ever entered the window, by its deadline; settled ones leave when they come to the head. */
  readonly #deadlines = new Fifo<PendingSend>();
  readonly #flushes = new FlushGenerations();
  #withdrawn = 0;
  #accepted = 0;
  #acceptedBytes = 0;
  #readyCount = 0;
  #readyBytes = 0;
  #contexts = 0;
  #linger: Timer | undefined;
  #deadline: Timer | undefined;
  #closing: Promise<void> | undefined;
  #gone = false;

  /** @param closeTimeoutMs the longest that closing waits for sends that are not settled. */
  constructor(
    options: TransportProducerOptions,
    parts: ReconnectingSocketParts,
    closeTimeoutMs: number,
    onClose: (producer: WebSocketProducer) => void,
  ) {
    this.topic = options.topic;
    this.#options = options;
    this.#clock = parts.clock;
    this.#closeTimeoutMs = closeTimeoutMs;
    this.#onClose = onClose;
    this.#socket = new ReconnectingSocket(producerEndpoint(options), parts, {
      onOpen: () => this.#write(),
      onText: (text) => this.#answer(text),
      onLost: (error) => this.#lost(error),
      onGone: (error) => this.#end(error),
    });
  }

  /** Resolves when the broker has made the producer. */
  open(timeoutMs: number): Promise<void> {
    return this.#socket.open(timeoutMs);
  }

  get pending(): number {
    return this.#accepted + this.#waiting.size - this.#withdrawn;
  }

  send(message: OutgoingMessage, signal?: AbortSignal): Promise<MessageId> {
    return new Promise((onStored, onFailed) => this.sendTo({ onStored, onFailed }, message, signal));
  }

  sendTo(listener: SendListener, message: OutgoingMessage, signal?: AbortSignal): void {
    if (this.#closing !== undefined || this.#gone) {
      listener.onFailed(new PulsarClosedError('producer', this.topic));
      return;
    }
    if (signal?.aborted === true) {
      listener.onFailed(sendAborted(this.topic, signal.reason));
      return;
    }
    let frame: string;
    try {
      // Encoded here and not when there is room: what the caller does to the payload later must not change the message.
      frame = encodeFrame(this.topic, message);
    } catch (error) {
      listener.onFailed(PulsarError.from(error, this.topic));
      return;
    }
    const send: PendingSend = {
      frame,
      bytes: message.payload.byteLength,
      urgent: message.deliverAtMs !== undefined,
      generation: this.#flushes.enter(),
      listener,
      state: 'waiting',
      context: '',
      deadlineMs: 0,
      release: undefined,
    };
    if (this.#waiting.size === 0 && this.#hasRoom(send)) {
      this.#accept(send);
    } else {
      this.#wait(send, signal);
    }
  }

  flush(): Promise<void> {
    const settled = this.#flushes.flush();
    this.#write();
    return settled;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // With no broker and no send timeout the flush would never end.
    const limit = this.#clock.setTimer(this.#closeTimeoutMs, () => this.#giveUp());
    try {
      // The broker drops the answers, and without a closing handshake the sends, of a connection that ends first.
      await this.flush();
      limit.cancel();
      await this.#socket.close();
    } finally {
      this.#onClose(this);
    }
  }

  #hasRoom({ bytes }: PendingSend): boolean {
    const { maxPendingMessages, maxPendingBytes } = this.#options;
    return (
      this.#accepted === 0 || (this.#accepted < maxPendingMessages && this.#acceptedBytes + bytes <= maxPendingBytes)
    );
  }

  #wait(send: PendingSend, signal: AbortSignal | undefined): void {
    this.#waiting.push(send);
    // Nobody joins the batch before some of it is stored: lingering would only lose time.
    this.#write();
    if (signal !== undefined) {
      const onAbort = (): void => {
        this.#withdrawn++;
        this.#settle(send, (listener) => listener.onFailed(sendAborted(this.topic, signal.reason)));
      };
      signal.addEventListener('abort', onAbort, { once: true });
      send.release = () => signal.removeEventListener('abort', onAbort);
    }
  }

  #accept(send: PendingSend): void {
    send.release?.();
    send.release = undefined;
    send.state = 'ready';
    this.#accepted++;
    this.#acceptedBytes += send.bytes;
    this.#readyCount++;
    this.#readyBytes += send.bytes;
    this.#ready.push(send);
    this.#watch(send);
    const { enabled, maxMessages, maxBytes, maxDelayMs } = this.#options.batching;
    const full =
      !enabled ||
      maxDelayMs === 0 ||
      send.urgent ||
      this.#flushes.isAwaited(send.generation) ||
      this.#readyCount >= maxMessages ||
      this.#readyBytes >= maxBytes ||
      // Whoever waits for room must not also wait for the linger.
      this.#accepted >= this.#options.maxPendingMessages ||
      this.#acceptedBytes >= this.#options.maxPendingBytes;
    if (full) {
      this.#write();
    } else {
      this.#linger ??= this.#clock.setTimer(maxDelayMs, () => this.#write());
    }
  }

  /** Writes what is within the window; without a connection it stays for the next one. */
  #write(): void {
    this.#linger?.cancel();
    this.#linger = undefined;
    const { live } = this.#socket;
    if (live === undefined) {
      return;
    }
    for (let send = this.#ready.shift(); send !== undefined; send = this.#ready.shift()) {
      if (send.state === 'ready') {
        send.state = 'written';
        send.context = String(++this.#contexts);
        this.#written.set(send.context, send);
        live.send(withContext(send.frame, send.context));
        send.frame = '';
      }
    }
    this.#readyCount = 0;
    this.#readyBytes = 0;
  }

  #answer(text: string): void {
    const answer = readSendAnswer(text);
    if (answer?.context === undefined) {
      // Nobody can tell whose it is: all that are on the way may have been stored, and will be told so.
      this.#socket.live?.terminate();
      return;
    }
    // None: it came after its deadline.
    const send = this.#written.get(answer.context);
    if (send !== undefined) {
      this.#settle(send, (listener) => {
        if (answer.messageId === undefined) {
          listener.onFailed(sendFailure(this.topic, answer.result, answer.problem));
        } else {
          listener.onStored(new WebSocketMessageId(this.topic, answer.messageId));
        }
      });
    }
  }

  #lost(error: PulsarError): void {
    for (const send of this.#written.values()) {
      this.#settle(send, (listener) => listener.onFailed(error));
    }
  }

  /** The broker has no such producer any more: what was not sent is told so, and a pool makes another. */
  #end(error: PulsarError): void {
    this.#gone = true;
    this.#rejectUnsent(error);
    this.#onClose(this);
  }

  #giveUp(): void {
    const problem = `The producer on ${this.topic} was closed, and ${this.#closeTimeoutMs} ms later the broker had not acknowledged a message.`;
    this.#lost(brokerFailure('SMARTPULSE_PULSAR_TIMEOUT', problem, { topic: this.topic, ambiguous: true }));
    this.#rejectUnsent(new PulsarClosedError('producer', this.topic));
  }

  #rejectUnsent(error: PulsarError): void {
    for (const send of [...this.#ready.drain(), ...this.#waiting.drain()]) {
      this.#settle(send, (listener) => listener.onFailed(error));
    }
    this.#withdrawn = 0;
  }

  #settle(send: PendingSend, outcome: (listener: SendListener) => void): void {
    const { state } = send;
    if (state === 'settled') {
      return;
    }
    send.state = 'settled';
    send.release?.();
    send.release = undefined;
    this.#written.delete(send.context);
    if (state !== 'waiting') {
      this.#accepted--;
      this.#acceptedBytes -= send.bytes;
      this.#unwatch();
    }
    outcome(send.listener);
    this.#flushes.leave(send.generation);
    this.#admit();
  }

  #admit(): void {
    for (let send = this.#waiting.peek(); send !== undefined; send = this.#waiting.peek()) {
      if (send.state === 'settled') {
        this.#withdrawn--;
        this.#waiting.shift();
      } else if (this.#hasRoom(send)) {
        this.#waiting.shift();
        this.#accept(send);
      } else {
        break;
      }
    }
  }

  /** One timer for all: deadlines come in the order in which sends enter the window. */
  #watch(send: PendingSend): void {
    const { sendTimeoutMs } = this.#options;
    if (sendTimeoutMs > 0) {
      send.deadlineMs = this.#clock.monotonic() + sendTimeoutMs;
      this.#deadlines.push(send);
      this.#deadline ??= this.#clock.setTimer(sendTimeoutMs, () => this.#expire());
    }
  }

  #unwatch(): void {
    while (this.#deadlines.peek()?.state === 'settled') {
      this.#deadlines.shift();
    }
    if (this.#deadlines.size === 0) {
      this.#deadline?.cancel();
      this.#deadline = undefined;
    }
  }

  #expire(): void {
    this.#deadline = undefined;
    const nowMs = this.#clock.monotonic();
    for (let send = this.#deadlines.peek(); send !== undefined; send = this.#deadlines.peek()) {
      if (send.deadlineMs > nowMs) {
        this.#deadline ??= this.#clock.setTimer(send.deadlineMs - nowMs, () => this.#expire());
        return;
      }
      const ambiguous = send.state === 'written';
      this.#settle(send, (listener) => listener.onFailed(this.#timedOut(ambiguous)));
    }
  }

  #timedOut(ambiguous: boolean): PulsarError {
    const { sendTimeoutMs } = this.#options;
    return brokerFailure(
      'SMARTPULSE_PULSAR_TIMEOUT',
      ambiguous
        ? `The broker did not acknowledge a message for ${this.topic} within ${sendTimeoutMs} ms.`
        : `No connection took a message for ${this.topic} within ${sendTimeoutMs} ms: nothing was sent.`,
      { topic: this.topic, ambiguous },
    );
  }
}

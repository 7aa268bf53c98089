import type { Clock } from '@smartpulse/resilience';
import { PulsarClosedError, type PulsarError } from '../pulsar.errors.js';
import { brokerFailure, foreignMessageId, unsupported } from '../transport/broker-failure.js';
import type {
  MessageId,
  TransportConsumer,
  TransportConsumerListener,
  TransportSubscribeOptions,
} from '../transport/pulsar.transport.js';
import { AckGroup } from './ack-group.js';
import { DelayedNacks } from './delayed-nacks.js';
import { readMessage } from './received-message.js';
import { ReconnectingSocket, type ReconnectingSocketParts } from './reconnecting-socket.js';
import { consumerEndpoint } from './websocket.endpoint.js';
import { WebSocketMessageId } from './websocket.message-id.js';

/**
 * One consumer over a WebSocket, in pull mode. The broker answers no command, so an acknowledgement is done when it has left this process;
 * one that has not is sent by the next connection, which takes the ids of the one before.
 */
export class WebSocketConsumer implements TransportConsumer {
  readonly topic: string;
  readonly subscription: string;
  readonly #listener: TransportConsumerListener;
  readonly #onClose: (consumer: WebSocketConsumer) => void;
  readonly #socket: ReconnectingSocket;
  readonly #nacks: DelayedNacks;
  /** Delivered and neither acknowledged nor given back. */
  readonly #held = new Set<string>();
  /** Of this turn. */
  #acks: AckGroup | undefined;
  /** Of earlier turns, not on their way. */
  #unsent: AckGroup[] = [];
  /** On their way to the socket below. */
  readonly #writing = new Set<AckGroup>();
  readonly #onIdle: (() => void)[] = [];
  /** Permitted and not received: what the next connection must be told. */
  #outstanding = 0;
  /** Of those, what this connection was not told. */
  #untold = 0;
  #scheduled = false;
  #closing: Promise<void> | undefined;
  #gone = false;

  constructor(
    options: TransportSubscribeOptions,
    parts: ReconnectingSocketParts,
    listener: TransportConsumerListener,
    onClose: (consumer: WebSocketConsumer) => void,
  ) {
    this.topic = options.topic;
    this.subscription = options.subscription;
    this.#listener = listener;
    this.#onClose = onClose;
    const clock: Clock = parts.clock;
    this.#nacks = new DelayedNacks(clock, (id) => this.#giveBack(id));
    this.#socket = new ReconnectingSocket(consumerEndpoint(options), parts, {
      onOpen: () => this.#reopened(),
      onText: (text) => this.#receive(text),
      onLost: () => undefined,
      onGone: (error) => this.#end(error),
    });
  }

  /** Resolves when the subscription exists. */
  open(timeoutMs: number): Promise<void> {
    return this.#socket.open(timeoutMs);
  }

  permit(count: number): void {
    // The broker takes 0 and less for one.
    if (this.#closed || count <= 0) {
      return;
    }
    this.#outstanding += count;
    this.#untold += count;
    this.#schedule();
  }

  ack(id: MessageId): Promise<void> {
    if (this.#closed) {
      return Promise.reject(new PulsarClosedError('consumer', this.topic));
    }
    if (!this.#knows(id)) {
      return Promise.reject(foreignMessageId(this.topic));
    }
    const messageId = id.toString();
    this.#nacks.drop(messageId);
    this.#held.delete(messageId);
    if (this.#acks === undefined) {
      this.#acks = new AckGroup();
      this.#unsent.push(this.#acks);
      this.#schedule();
    }
    return this.#acks.add(messageId);
  }

  ackCumulative(_id: MessageId): Promise<void> {
    return Promise.reject(unsupported('websocket', 'cumulative acknowledgement', this.topic));
  }

  nack(id: MessageId, delayMs: number): void {
    if (!this.#closed && this.#knows(id)) {
      this.#held.delete(id.toString());
      this.#nacks.add(id.toString(), delayMs);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async unsubscribe(): Promise<void> {
    if (this.#closed) {
      throw new PulsarClosedError('consumer', this.topic);
    }
    const { live } = this.#socket;
    if (live === undefined) {
      throw this.#disconnected('The subscription was not deleted');
    }
    await this.#written();
    live.send('{"type":"unsubscribe"}');
    // No answer comes; the broker's side reads the ping after the command.
    if (!(await live.roundTrip())) {
      throw this.#disconnected('Whether the subscription was deleted is not known');
    }
    await this.close();
  }

  get #closed(): boolean {
    return this.#closing !== undefined || this.#gone;
  }

  async #close(): Promise<void> {
    this.#nacks.clear();
    try {
      await this.#written();
      await this.#socket.close();
    } finally {
      this.#held.clear();
      this.#refuseAcks();
      this.#onClose(this);
    }
  }

  /** Resolves when no acknowledgement is on its way any more; one that no connection took is refused. */
  async #written(): Promise<void> {
    this.#tell();
    this.#refuseAcks();
    if (this.#writing.size > 0) {
      await new Promise<void>((resolve) => {
        this.#onIdle.push(resolve);
      });
    }
  }

  #refuseAcks(): void {
    this.#acks = undefined;
    for (const group of this.#unsent.splice(0)) {
      group.reject(this.#disconnected('An acknowledgement was not sent'));
    }
  }

  #disconnected(what: string): PulsarError {
    return brokerFailure('SMARTPULSE_PULSAR_CONNECTION', `${what}: there is no connection for ${this.topic}.`, {
      topic: this.topic,
    });
  }

  /** Commands of one turn leave together: permits are one command then, and the frames one write. */
  #schedule(): void {
    if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(() => {
        this.#scheduled = false;
        this.#tell();
      });
    }
  }

  #tell(): void {
    const { live } = this.#socket;
    if (live === undefined) {
      return;
    }
    this.#acks = undefined;
    for (const group of this.#unsent.splice(0)) {
      this.#writing.add(group);
      group.send(live, (error) => this.#wrote(group, error));
    }
    if (this.#untold > 0 && this.#closing === undefined) {
      live.send(JSON.stringify({ type: 'permit', permitMessages: this.#untold }));
      this.#untold = 0;
    }
  }

  #wrote(group: AckGroup, error: Error | undefined): void {
    this.#writing.delete(group);
    if (error === undefined) {
      group.resolve();
    } else if (this.#closed) {
      group.reject(this.#disconnected('An acknowledgement was not sent'));
    } else {
      this.#unsent.push(group);
      this.#schedule();
    }
    if (this.#writing.size === 0) {
      for (const resolve of this.#onIdle.splice(0)) {
        resolve();
      }
    }
  }

  /** The permits of a connection end with it. */
  #reopened(): void {
    this.#untold = this.#outstanding;
    this.#tell();
  }

  #receive(text: string): void {
    const message = readMessage(this.topic, text);
    if (message === undefined || this.#closed) {
      return;
    }
    this.#outstanding = Math.max(0, this.#outstanding - 1);
    const id = message.id.toString();
    if (this.#nacks.has(id) || this.#held.has(id)) {
      // Giving back one message of a batch brings the others, too, and a new connection everything unacknowledged: what is being handled
      // or waits for its delay is not delivered a second time. Its id stays good for the answer.
      this.permit(1);
    } else {
      this.#held.add(id);
      this.#listener.onMessage(message);
    }
  }

  #giveBack(messageId: string): void {
    // Without a connection the broker has given it back already.
    this.#socket.live?.send(JSON.stringify({ type: 'negativeAcknowledge', messageId }));
  }

  #end(error: PulsarError): void {
    this.#gone = true;
    this.#nacks.clear();
    this.#held.clear();
    this.#refuseAcks();
    this.#onClose(this);
    this.#listener.onClosed(error);
  }

  #knows(id: MessageId): id is WebSocketMessageId {
    return id instanceof WebSocketMessageId && id.topic === this.topic;
  }
}

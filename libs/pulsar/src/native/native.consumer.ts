import type { Clock, Timer } from '@smartpulse/resilience';
import { PulsarClosedError, PulsarError } from '../pulsar.errors.js';
import { foreignMessageId } from '../transport/broker-failure.js';
import type {
  MessageId,
  TransportConsumer,
  TransportConsumerListener,
  TransportSubscribeOptions,
} from '../transport/pulsar.transport.js';
import type { NativeConsumer, NativeMessage } from './native.client.js';
import { nativeFailure } from './native.failures.js';
import { incomingMessage, NativeMessageId } from './native.message.js';

/** Receives on the way at once: more make nothing faster (measured: 1, 10, 100 and 500 alike). */
const MAX_RECEIVES = 10;

/** A receive that was called, and what came of it. The client settles those of one turn of the event loop last to first. */
interface Receive {
  outcome: NativeMessage | PulsarError | undefined;
}

/** One consumer of the official client, driven by receives without a time limit: a listener would serve one message at a time for all. */
export class NativeTransportConsumer implements TransportConsumer {
  readonly topic: string;
  readonly subscription: string;
  readonly #nacks = new Set<Timer>();
  /** In the order of their calls, which is that of the messages. */
  readonly #receives: Receive[] = [];
  /** Messages of batches that are neither acknowledged nor given back: the client brings all of a batch again for one of it. */
  readonly #held: Set<string> | undefined;
  #permits = 0;
  #closing: Promise<void> | undefined;
  #lost = false;

  constructor(
    private readonly consumer: NativeConsumer,
    options: TransportSubscribeOptions,
    private readonly listener: TransportConsumerListener,
    private readonly clock: Clock,
    private readonly onClose: (consumer: NativeTransportConsumer) => void,
  ) {
    this.topic = options.topic;
    this.subscription = options.subscription;
    // Elsewhere everything that is not acknowledged comes again, in its order.
    this.#held = options.type === 'Shared' || options.type === 'Key_Shared' ? new Set() : undefined;
  }

  permit(count: number): void {
    if (this.#open && count > 0) {
      this.#permits += count;
      this.#receive();
    }
  }

  ack(id: MessageId): Promise<void> {
    return this.#settle(id, (own) => {
      this.#held?.delete(own.text);
      return this.consumer.acknowledgeId(own.native);
    });
  }

  ackCumulative(id: MessageId): Promise<void> {
    return this.#settle(id, (own) => this.consumer.acknowledgeCumulativeId(own.native));
  }

  nack(id: MessageId, delayMs: number): void {
    if (!this.#open || !(id instanceof NativeMessageId)) {
      return;
    }
    const timer = this.clock.setTimer(Math.max(0, delayMs), () => {
      this.#nacks.delete(timer);
      this.#held?.delete(id.text);
      this.consumer.negativeAcknowledgeId(id.native);
    });
    this.#nacks.add(timer);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async unsubscribe(): Promise<void> {
    if (!this.#open) {
      throw new PulsarClosedError('consumer', this.topic);
    }
    try {
      await this.consumer.unsubscribe();
    } catch (error) {
      // Still subscribed: it goes on as before.
      throw nativeFailure('unsubscribe', error, this.topic);
    }
    await this.close();
  }

  get #open(): boolean {
    return this.#closing === undefined && !this.#lost;
  }

  async #settle(id: MessageId, work: (own: NativeMessageId) => Promise<unknown>): Promise<void> {
    if (!this.#open) {
      throw new PulsarClosedError('consumer', this.topic);
    }
    if (!(id instanceof NativeMessageId)) {
      throw foreignMessageId(this.topic);
    }
    try {
      await work(id);
    } catch (error) {
      throw nativeFailure('acknowledge', error, this.topic);
    }
  }

  #receive(): void {
    while (this.#open && this.#receives.length < Math.min(this.#permits, MAX_RECEIVES)) {
      const receive: Receive = { outcome: undefined };
      this.#receives.push(receive);
      const settle = (outcome: NativeMessage | PulsarError): void => {
        receive.outcome = outcome;
        this.#handOut();
      };
      this.consumer.receive().then(settle, (error: unknown) => settle(nativeFailure('subscribe', error, this.topic)));
    }
  }

  /** What has come, up to the first receive that has not. */
  #handOut(): void {
    for (let [first] = this.#receives; this.#open && first?.outcome !== undefined; [first] = this.#receives) {
      this.#receives.shift();
      if (PulsarError.is(first.outcome)) {
        this.#giveUp(first.outcome);
      } else {
        this.#onMessage(first.outcome);
      }
    }
    // One that arrives while closing is not acknowledged: the broker gives it to others.
    this.#receive();
  }

  #onMessage(received: NativeMessage): void {
    try {
      const message = incomingMessage(received);
      const { text } = message.id;
      if (message.redeliveryCount > 0 && this.#held?.has(text) === true) {
        return;
      }
      this.#held?.add(text);
      this.#permits--;
      this.listener.onMessage(message);
    } catch (error) {
      this.#giveUp(PulsarError.from(error, this.topic));
    }
  }

  /** Whatever ended the receives, this consumer is no more: the one that follows it begins with what is not acknowledged. */
  #giveUp(failure: Error): void {
    this.#lost = true;
    const tell = (): void => this.listener.onClosed(failure);
    this.close().then(tell, tell);
  }

  async #close(): Promise<void> {
    for (const timer of this.#nacks) {
      timer.cancel();
    }
    this.#nacks.clear();
    this.#held?.clear();
    try {
      await this.consumer.close();
    } catch (error) {
      throw nativeFailure('close', error, this.topic);
    } finally {
      // Until here: the process dies when a consumer with a receive on the way is collected.
      this.onClose(this);
    }
  }
}

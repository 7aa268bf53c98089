import { asError } from '../pulsar.errors.js';
import type { WatchedSend } from '../pulsar.telemetry.js';
import { sendAborted } from '../transport/broker-failure.js';
import type { MessageId, OutgoingMessage, SendListener, TransportProducer } from '../transport/pulsar.transport.js';
import type { ProducerLease, ProducerProfile } from './producer-pool.js';
import type { PublishResult } from './publish-options.js';

/** What becomes of messages, for whoever sends them. */
export interface SendsPort {
  stored(sending: Sending, id: MessageId): void;
  failed(sending: Sending, cause: unknown): void;
}

/**
 * A publish that is called and not settled. Its producer tells it of the message: all that a publish keeps is this record and the caller's promise, because it
 * is there once for each message on its way. What a tracer throws is the caller's, and never the producer's.
 */
export class Sending implements SendListener {
  /** The use of a producer that ends with it. */
  lease: ProducerLease | undefined = undefined;
  /** It was given back unsent once. */
  isAgain = false;

  /** @param turn its place among all. */
  constructor(
    private readonly sends: SendsPort,
    readonly resolve: (result: PublishResult) => void,
    readonly reject: (error: Error) => void,
    readonly topic: string,
    readonly profile: ProducerProfile,
    readonly message: OutgoingMessage,
    readonly signal: AbortSignal | undefined,
    readonly watched: WatchedSend | undefined,
    readonly turn: number,
  ) {}

  /** Sends it. */
  by(producer: TransportProducer): void {
    if (producer.sendTo !== undefined) {
      producer.sendTo(this, this.message, this.signal);
      return;
    }
    producer.send(this.message, this.signal).then(
      (id) => this.onStored(id),
      (error: unknown) => this.onFailed(error),
    );
  }

  onStored(id: MessageId): void {
    try {
      this.sends.stored(this, id);
    } catch (error) {
      this.reject(asError(error));
    }
  }

  /** A producer in the middle of failing is asked nothing: what is sent again is sent a moment later. */
  onFailed(cause: unknown): void {
    queueMicrotask(() => {
      try {
        this.sends.failed(this, cause);
      } catch (error) {
        this.reject(asError(error));
      }
    });
  }
}

/**
 * Sends when the producer is there, in the order of the calls. The signal ends the wait for it: a topic that cannot be reached holds nobody who does
 * not want to wait.
 */
export function sendWhenMade(lease: ProducerLease, sending: Sending): void {
  const { signal, topic, turn } = sending;
  if (signal?.aborted === true) {
    sending.onFailed(sendAborted(topic, signal.reason));
    return;
  }
  const leave = lease.whenMade(
    turn,
    (producer) => {
      signal?.removeEventListener('abort', onAbort);
      try {
        sending.by(producer);
      } catch (error) {
        sending.onFailed(error);
      }
    },
    (error) => {
      signal?.removeEventListener('abort', onAbort);
      sending.onFailed(error);
    },
  );
  const onAbort = (): void => {
    leave();
    sending.onFailed(sendAborted(topic, signal?.reason));
  };
  signal?.addEventListener('abort', onAbort, { once: true });
}

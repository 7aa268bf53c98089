import type { TransportConsumer, TransportConsumerListener, TransportSubscribeOptions } from '@smartpulse/pulsar';
import { FaultInjectingTransport } from '@smartpulse/pulsar/testing';

/** Notes what passes between a transport and those who consume by it, from a moment on: whatever becomes of it further up. */
export class WatchedTransport extends FaultInjectingTransport {
  /** Whether that moment has come. */
  isWatching: () => boolean = () => false;
  /** Payloads that the transport handed out since. */
  readonly handedOut: string[] = [];
  /** Permits that it was given since. */
  permitted = 0;

  override async subscribe(
    options: TransportSubscribeOptions,
    listener: TransportConsumerListener,
  ): Promise<TransportConsumer> {
    const consumer = await super.subscribe(options, {
      onMessage: (message) => {
        if (this.isWatching()) {
          this.handedOut.push(Buffer.from(message.payload).toString());
        }
        listener.onMessage(message);
      },
      onClosed: (error) => listener.onClosed(error),
    });
    return {
      ...consumer,
      permit: (count) => {
        this.permitted += this.isWatching() ? count : 0;
        consumer.permit(count);
      },
    };
  }
}

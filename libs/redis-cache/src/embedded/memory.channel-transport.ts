import { type ChannelListener, ChannelTransport, type TransportSubscription } from '../channel/channel.transport.js';
import type { EmbeddedCacheServer } from './embedded-cache.server.js';

/** Channels in memory: reach everybody who holds the same server. */
export class MemoryChannelTransport extends ChannelTransport {
  readonly shared = false;

  constructor(private readonly server: EmbeddedCacheServer) {
    super();
  }

  override async publish(channel: string, text: string): Promise<void> {
    this.server.publishText(channel, text);
  }

  override subscribe(channel: string, listener: ChannelListener): Promise<TransportSubscription> {
    return this.server.listen(channel, {
      onMessage: (text) => listener.onText(text),
      onUntrusted: (reason) => listener.onLost(reason),
      onTrusted: () => listener.onStanding(),
    });
  }

  /** In memory nothing dies without saying so. */
  override renew(): void {}

  /** The server is closed by whoever made it; subscriptions are ended one by one. */
  override async close(): Promise<void> {}
}

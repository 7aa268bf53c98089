/** What a subscriber hears from a {@link ChannelTransport}. */
export interface ChannelListener {
  onText(text: string): void;
  /** The subscription does not stand (any more): what is published from now on does not come. */
  onLost(reason: string): void;
  /** It stands (again): what is published from now on comes. */
  onStanding(): void;
}

/** A subscription of a {@link ChannelTransport}. */
export interface TransportSubscription {
  /** Ends it: nothing comes afterwards. Idempotent. */
  close(): Promise<void>;
}

/**
 * What carries texts from publishers to subscribers, as a port: publish and subscribe, at most once, nothing kept.
 *
 * An implementer guarantees: texts of one publisher on one channel arrive in the order of publication; a text is never delivered twice; a
 * subscription that is lost says so before anything later is delivered, and says that it stands only when what is published from then on
 * comes. What was published while it did not stand is gone. Nothing is delivered inside `publish`.
 */
export abstract class ChannelTransport {
  /** Whether processes that do not share an object reach one another by it. */
  abstract readonly shared: boolean;

  /** Resolves when the server has taken it; that anybody has heard it, is not said. */
  abstract publish(channel: string, text: string): Promise<void>;

  /** Resolves when the subscription stands; calls `onStanding` before it resolves. */
  abstract subscribe(channel: string, listener: ChannelListener): Promise<TransportSubscription>;

  /** Subscriptions seem to be dead without having said so: ends them as lost and makes new ones. */
  abstract renew(): void;

  /** Ends what it opened itself. Idempotent. */
  abstract close(): Promise<void>;
}

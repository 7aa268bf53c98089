/** A message as a handler gets it. */
export interface ChannelMessage<T> {
  readonly key: string;
  readonly payload: T;
  /** The `nodeId` of the app that published it. */
  readonly source: string;
  /** This {@link CacheChannel} published it itself. */
  readonly own: boolean;
}

/** What a handler is given beside its message. */
export interface ChannelContext {
  /** Aborts when the app stops and may wait no longer. */
  readonly signal: AbortSignal;
}

/** Handles messages of a topic: one at a time per key, in the order of publication. What it throws is counted and logged; there is no second attempt. */
export type ChannelHandler<T> = (message: ChannelMessage<T>, context: ChannelContext) => Promise<void> | void;

/**
 * Messages may be missing before this moment, and everything that is published from now on comes: whoever keeps what messages told reads it anew.
 * `connectionLost`: the subscription did not stand. `missing`: a number of this source is missing. `overflow`: more came than the handler could
 * take, and they were dropped. `unreadable`: a message of another format, or one that the topic's codec refused.
 */
export type ChannelGap =
  | { readonly reason: 'connectionLost'; readonly cause: string }
  | { readonly reason: 'missing'; readonly source: string }
  | { readonly reason: 'overflow'; readonly dropped: number }
  | { readonly reason: 'unreadable'; readonly source: string | null };

/** How a topic is followed. */
export interface SubscribeOptions {
  /** Handlers at once, over all keys. Default 16. */
  readonly concurrency?: number | undefined;
  /** Messages that may wait for their handlers; more are dropped, and {@link onGap} is told. Default 10 000. */
  readonly capacity?: number | undefined;
  /** Told of every gap, before anything later is handed to the handler. Not awaited: begin the reload and return. Default: a line in the log. */
  readonly onGap?: ((gap: ChannelGap) => void) | undefined;
}

/** The defaults of {@link SubscribeOptions}. */
export const SUBSCRIBE_DEFAULTS = Object.freeze({ concurrency: 16, capacity: 10_000 } as const);

/** A topic that is followed. */
export interface ChannelSubscription {
  /** Whether what is published now comes. */
  readonly standing: boolean;
  /** Ends it: nothing new is taken, what was taken is handled. Resolves when no handler runs any more, so a handler must not wait for it. Idempotent. */
  close(): Promise<void>;
}

/** What a {@link CacheChannel} has done: plain counters, from its beginning. */
export interface ChannelStats {
  readonly published: number;
  readonly publishFailures: number;
  readonly received: number;
  readonly handled: number;
  /** Handlers that threw. */
  readonly failed: number;
  /** Messages that found no room. */
  readonly dropped: number;
  readonly gaps: number;
  /** Topics followed now, and how many of these subscriptions stand. */
  readonly subscriptions: number;
  readonly standing: number;
}

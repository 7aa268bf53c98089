/** What all contestants are given when they start. */
export interface Settings {
  /** `pulsar://…`; empty where only the in-process broker is measured. */
  readonly serviceUrl: string;
  /** `ws://…`. */
  readonly webSocketUrl: string;
  /** Port of the Redis server on 127.0.0.1, for the peer; 0 where there is none. */
  readonly redisPort: number;
  /** Sends that are not settled. */
  readonly window: number;
  /** Handlers at once. */
  readonly concurrency: number;
  /** Messages received ahead of them; all that the bare transport permits is both together. */
  readonly prefetch: number;
  readonly keys: number;
  readonly batchMessages: number;
  readonly batchBytes: number;
  readonly lingerMs: number;
}

/** A run over so many messages of so many bytes. */
interface Amount {
  readonly topic: string;
  readonly messages: number;
  readonly bytes: number;
}

/** One run of one contestant. */
export type Job =
  | { readonly kind: 'open' }
  /** Writes what later runs read, by the bare transport and without figures. */
  | ({ readonly kind: 'fill' } & Amount)
  | ({ readonly kind: 'publish' } & Amount)
  /** Reads what was filled, on a subscription of its own. */
  | ({ readonly kind: 'consume'; readonly subscription: string } & Amount)
  /** Publishes and consumes at the same time, what is published here; for the heap, and for peers that keep nothing. */
  | ({ readonly kind: 'both'; readonly subscription: string } & Amount)
  | ({ readonly kind: 'latency'; readonly subscription: string; readonly perSecond: number } & Amount)
  | { readonly kind: 'record'; readonly messages: number }
  /** Collects, and says what is left: never before a run that is measured, which would begin with the heap of a process that has just started. */
  | { readonly kind: 'heap' }
  /** A producer made, used once, awaited and closed for each message: what a pool saves. */
  | ({ readonly kind: 'unpooled' } & Amount)
  /** One message after the other through the pool, each awaited. */
  | ({ readonly kind: 'pooled' } & Amount);

/** What a run took. */
export interface Taken {
  readonly ms: number;
  /** Processor time of the contestant's process, all threads. */
  readonly cpuMs: number;
}

/** From the call of the send to the call of the handler, in one process. */
export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** What is left on the heap, garbage collected. */
export interface Heap {
  readonly heapBytes: number;
}

/** What all contestants are given when they start. */
export interface Settings {
  readonly serviceUrl: string;
  readonly webSocketUrl: string;
  /** Sends that are not settled, and messages allowed and not handled. */
  readonly window: number;
  readonly batchMessages: number;
  readonly batchBytes: number;
  readonly lingerMs: number;
}

/** One run of one contestant. */
export type Job =
  | { readonly kind: 'open' }
  /** Collects, and says what is left: never before a run that is measured, which would begin with the heap of a process that has just started. */
  | { readonly kind: 'heap' }
  | { readonly kind: 'publish'; readonly topic: string; readonly messages: number; readonly bytes: number }
  | {
      readonly kind: 'consume';
      readonly topic: string;
      readonly subscription: string;
      readonly messages: number;
      readonly bytes: number;
      /** Consumers that share the subscription and the window; 1 where nothing is said. */
      readonly connections?: number;
    }
  | {
      readonly kind: 'latency';
      readonly topic: string;
      readonly subscription: string;
      readonly messages: number;
      readonly bytes: number;
      readonly perSecond: number;
    };

/** What a run of throughput took. */
export interface Throughput {
  readonly ms: number;
  /** Processor time of the contestant's process, all threads. */
  readonly cpuMs: number;
}

/** From the call of the send to the call of the listener, in one process. */
export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** What is left on the heap, garbage collected. */
export interface Heap {
  readonly heapBytes: number;
}

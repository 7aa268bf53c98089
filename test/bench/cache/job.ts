/** What a contestant is given when it starts. */
export interface Settings {
  /** `redis://…` of this run's own server. */
  readonly url: string;
  /** Names everything that this contestant stores. */
  readonly prefix: string;
}

/** One run of one contestant. */
export type Job =
  | { readonly kind: 'open' }
  /** Reads that the first level answers, each awaited. */
  | { readonly kind: 'near'; readonly operations: number }
  /** The same without a promise. */
  | { readonly kind: 'peek'; readonly operations: number }
  /** Reads that the store answers, so many at once. */
  | { readonly kind: 'far'; readonly operations: number; readonly inFlight: number }
  /** Writes that are accepted, so many at once. */
  | { readonly kind: 'write'; readonly operations: number; readonly inFlight: number }
  /** So many callers of a key that nobody holds. */
  | { readonly kind: 'stampede'; readonly key: string; readonly callers: number; readonly loadMs: number }
  /** From the call that tells of a change to its effect on another replica. */
  | { readonly kind: 'invalidation'; readonly samples: number }
  /** What entries of the first level weigh. */
  | { readonly kind: 'memory'; readonly entries: number };

/** What a run took. */
export interface Taken {
  readonly ms: number;
  readonly cpuMs: number;
}

/** Runs of the loader, and callers that were given what it brought. */
export interface Stampeded {
  readonly loads: number;
  readonly answers: number;
}

/** Milliseconds, sorted. */
export interface Lags {
  readonly lagsMs: readonly number[];
}

/** Of the whole heap, per entry. */
export interface Weight {
  readonly bytesPerEntry: number;
}

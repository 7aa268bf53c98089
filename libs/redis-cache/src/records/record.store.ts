import type { EntryVersion } from '../version/entry-version.js';

/** A record: a text and its place in an order that its owner counts. */
export interface StoredRecord {
  readonly order: EntryVersion;
  readonly text: string;
}

/** What became of a write, and what is stored after it. */
export interface RecordReply {
  readonly outcome: 'stored' | 'refused';
  readonly current: StoredRecord | undefined;
}

/**
 * Small things that are no cache: positions, epochs, marks, each under a name, without an end of their life. As a port.
 *
 * An implementer guarantees: every call is one atomic step; a write that is refused changes nothing; what was stored is there until it is overwritten, as far
 * as {@link durable} goes; orders are compared as {@link EntryVersion.compare} does, above 2^53 too. Names are those of `checkCacheKey`.
 */
export abstract class RecordStore {
  /** Whether records outlive the process. */
  abstract readonly durable: boolean;
  /** Whether other processes see them. */
  abstract readonly shared: boolean;

  abstract get(name: string): Promise<StoredRecord | undefined>;

  /** Stores the record unless one of a higher order is there: a writer that was fenced off changes nothing. */
  abstract put(name: string, record: StoredRecord): Promise<RecordReply>;

  /** Stores the record if what is there has exactly the order `expected`; `undefined` = if nothing is there. */
  abstract replace(name: string, expected: EntryVersion | undefined, record: StoredRecord): Promise<RecordReply>;

  /** Ends what it opened itself. Idempotent. */
  abstract close(): Promise<void>;
}

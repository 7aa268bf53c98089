import { type CacheNamespace, EntryVersion } from '@smartpulse/redis-cache';
import type { EntryState } from '@smartpulse/redis-cache/embedded';
import type { SimulatedValue } from '@smartpulse/redis-cache/testing';
import type { Bounds } from './bounds.js';
import { IMPATIENT_NAMESPACE, NAMESPACE } from './namespaces.js';
import { APPLIER, applied, type ServerInput } from './server.subject.js';

/** As long as what replicas write, so that lives tell nothing apart. */
const TTL_MS = 82_080_000;

/** What the database holds after each commit, and how that looks in the cache. Contents are numbers of commits: 0 before the first one. */
export class Truth {
  /** As replicas keep it. */
  readonly namespace: CacheNamespace<SimulatedValue>;
  readonly #stamps: readonly EntryVersion[];

  constructor(protected readonly bounds: Bounds) {
    const { restoredBy = Infinity, ages = 0 } = bounds;
    this.namespace = ages > 0 ? IMPATIENT_NAMESPACE : NAMESPACE;
    this.#stamps = Array.from({ length: bounds.commits + 1 }, (_, index) =>
      index < restoredBy
        ? new EntryVersion(1n, BigInt(index + 10))
        : new EntryVersion(2n, BigInt(index - restoredBy + 1)),
    );
  }

  /** The content that has every commit up to this one. */
  whole(index: number): number {
    return index;
  }

  /** Whether a content has all that another one has. */
  covers(content: number, promised: number): boolean {
    return content >= promised;
  }

  /** What two contents have together. */
  joined(a: number, b: number): number {
    return Math.max(a, b);
  }

  change(index: number): ServerInput {
    const version = this.stamp(index);
    const value = this.valueOf(index);
    return this.bounds.shape === 'aggregate' || value === undefined
      ? { op: 'invalidate', version, origin: APPLIER, tombstoneTtlMs: TTL_MS }
      : {
          op: 'refresh',
          write: applied({ version, payload: NAMESPACE.codec.encode(value), ttlMs: TTL_MS }),
        };
  }

  /** What is wrong with a write; nothing: `undefined`. */
  problemOf(before: EntryState | undefined, after: EntryState | undefined): string | undefined {
    if (after?.kind !== 'value' && after?.kind !== 'negative') {
      return undefined;
    }
    const stamp = this.#stamps.findIndex(
      ({ epoch, version }) => epoch === after.version.epoch && version === after.version.version,
    );
    if (!this.covers(this.contentOf(after), this.whole(stamp))) {
      return `content ${this.contentOf(after)} is stored under the stamp of ${stamp}`;
    }
    if (before?.kind !== 'value' && before?.kind !== 'negative') {
      return undefined;
    }
    if (before.version.compare(after.version) > 0) {
      return `${text(before.version)} is replaced by ${text(after.version)}`;
    }
    if (!this.covers(this.contentOf(after), this.contentOf(before))) {
      return `content ${this.contentOf(before)} is replaced by ${this.contentOf(after)}`;
    }
    return undefined;
  }

  contentOf(state: Extract<EntryState, { kind: 'value' | 'negative' }>): number {
    return this.shown(state.kind === 'negative' ? undefined : this.decoded(state.payload));
  }

  decoded(payload: string): SimulatedValue {
    return NAMESPACE.codec.decode(payload);
  }

  shown(value: SimulatedValue | undefined): number {
    return value?.content ?? this.bounds.deletedBy ?? 0;
  }

  valueOf(index: number): SimulatedValue | undefined {
    return index === this.bounds.deletedBy ? undefined : { content: index };
  }

  stamp(index: number): EntryVersion {
    return this.#stamps[index] ?? EntryVersion.ZERO;
  }
}

export function text(version: EntryVersion): string {
  return `${version.epoch}.${version.version}`;
}

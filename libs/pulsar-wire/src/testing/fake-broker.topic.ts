import { readMessageMetadata } from '../protocol/metadata/metadata-codec.js';
import type { StoredEntry } from './message-frame.js';

/** An entry in the log of a {@link FakeTopic}. */
export interface FakeEntry {
  readonly stored: StoredEntry;
  readonly entryId: bigint;
  readonly messages: number;
  readonly producerName: string;
  readonly sequenceId: bigint;
  readonly partitionKey: string | undefined;
}

/** What a subscription remembers of one entry. */
interface Delivery {
  redeliveryCount: number;
  /** 1 = still to be acknowledged, in 32-bit halves; undefined: all. */
  ackSet: Int32Array | undefined;
}

/** A cursor of a {@link FakeTopic}. */
export class FakeSubscription {
  /** Entries that are to be sent, in order. */
  readonly ready: bigint[] = [];
  readonly unacknowledged = new Map<bigint, Delivery>();
  readonly acknowledged = new Set<bigint>();

  constructor(first: bigint, end: bigint) {
    for (let id = first; id < end; id++) {
      this.ready.push(id);
    }
  }

  /** The entry before the first that is still to be acknowledged, at the end of the topic the last one. */
  passed(end: bigint): bigint {
    return [...this.ready, ...this.unacknowledged.keys()].reduce((least, id) => (id < least ? id : least), end) - 1n;
  }

  delivery(entryId: bigint): Delivery {
    let delivery = this.unacknowledged.get(entryId);
    if (delivery === undefined) {
      delivery = { redeliveryCount: 0, ackSet: undefined };
      this.unacknowledged.set(entryId, delivery);
    }
    return delivery;
  }

  acknowledge(entryId: bigint, ackSet: Int32Array): void {
    if (ackSet.some((half) => half !== 0)) {
      this.delivery(entryId).ackSet = ackSet;
      return;
    }
    this.acknowledged.add(entryId);
    this.unacknowledged.delete(entryId);
    const at = this.ready.indexOf(entryId);
    if (at >= 0) {
      this.ready.splice(at, 1);
    }
  }

  acknowledgeThrough(entryId: bigint): void {
    for (const id of [...this.unacknowledged.keys(), ...this.ready].filter((id) => id <= entryId)) {
      this.acknowledge(id, new Int32Array(0));
    }
  }

  /** Entries come again: those named, or everything that is not acknowledged. */
  redeliver(entryIds: readonly bigint[], counts: boolean): void {
    const wanted = entryIds.length === 0 ? [...this.unacknowledged.keys()] : entryIds;
    for (const id of wanted) {
      const delivery = this.unacknowledged.get(id);
      if (delivery !== undefined && !this.ready.includes(id)) {
        delivery.redeliveryCount += counts ? 1 : 0;
        this.ready.push(id);
      }
    }
    this.ready.sort((a, b) => (a < b ? -1 : 1));
  }
}

/** The log of one topic, with its subscriptions. */
export class FakeTopic {
  readonly entries: FakeEntry[] = [];
  readonly subscriptions = new Map<string, FakeSubscription>();
  readonly #highest = new Map<string, bigint>();

  /** @param deduplication a frame whose first sequence id is not above the last stored one of its producer is dropped whole. */
  constructor(private readonly deduplication: boolean) {}

  /** Deletes a subscription with its cursor. */
  forget(subscription: FakeSubscription): void {
    for (const [name, one] of this.subscriptions) {
      if (one === subscription) {
        this.subscriptions.delete(name);
      }
    }
  }

  /** The last sequence id of a producer's name, −1 when there is none. */
  lastSequenceId(producerName: string): bigint {
    return this.#highest.get(producerName) ?? -1n;
  }

  /** The entry's id; −1: it was a duplicate. */
  append(stored: StoredEntry, highestSequenceId: bigint | undefined): bigint {
    const metadataSize = stored.bytes.readUInt32BE(0);
    const metadata = readMessageMetadata(stored.bytes, 4, 4 + metadataSize);
    const last = this.lastSequenceId(metadata.producerName);
    if (this.deduplication && metadata.sequenceId <= last) {
      return -1n;
    }
    const highest = highestSequenceId ?? metadata.sequenceId;
    this.#highest.set(metadata.producerName, highest > last ? highest : last);
    const entryId = BigInt(this.entries.length);
    this.entries.push({
      stored,
      entryId,
      messages: metadata.numMessagesInBatch ?? 1,
      producerName: metadata.producerName,
      sequenceId: metadata.sequenceId,
      partitionKey: metadata.partitionKey,
    });
    for (const subscription of this.subscriptions.values()) {
      subscription.ready.push(entryId);
    }
    return entryId;
  }
}

import type { AttachedConsumer, KeyLane } from './attached-consumer.js';
import type { StoredMessage } from './stored-message.js';

/** Messages read ahead for consumers without permits; beyond, reading waits, so that memory stays bounded. */
const MAX_WAITING = 10_000;

/**
 * Key_Shared: each key belongs to one consumer as long as any message of it is with that consumer or waits for it; then to whom its hash
 * names.
 */
export class KeyLanes {
  readonly #lanes = new Map<string, KeyLane>();
  #waiting = 0;

  /** Whether more may be read from the log. */
  get full(): boolean {
    return this.#waiting >= MAX_WAITING;
  }

  /** The consumer to deliver to now; `undefined` = the message was put aside until its key's owner has permits. */
  route(message: StoredMessage, key: string, consumers: readonly AttachedConsumer[]): AttachedConsumer | undefined {
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      const owner = consumers[hash(key) % consumers.length];
      if (owner === undefined) {
        return undefined;
      }
      lane = { key, owner, unacked: 0, waiting: [] };
      this.#lanes.set(key, lane);
    }
    if (lane.owner.permits > 0 && lane.waiting.length === 0) {
      lane.unacked++;
      return lane.owner;
    }
    this.#putAside(lane, message);
    return undefined;
  }

  /** The next message that waited for this consumer, counted as delivered. */
  takeWaiting(consumer: AttachedConsumer): StoredMessage | undefined {
    const lane = consumer.waitingLanes.shift();
    const message = lane?.waiting.shift();
    if (lane === undefined || message === undefined) {
      return undefined;
    }
    this.#waiting--;
    lane.unacked++;
    if (lane.waiting.length > 0) {
      consumer.waitingLanes.push(lane);
    }
    return message;
  }

  /** A message of the key was settled. */
  settled(key: string): void {
    const lane = this.#lanes.get(key);
    if (lane !== undefined && --lane.unacked <= 0 && lane.waiting.length === 0) {
      this.#lanes.delete(key);
    }
  }

  /** The consumer is gone: its keys are free, what waited for it comes back. */
  release(consumer: AttachedConsumer): StoredMessage[] {
    const waiting = consumer.waitingLanes.drain().flatMap((lane) => lane.waiting.splice(0));
    this.#waiting -= waiting.length;
    const keys = new Set([...consumer.unacked.values(), ...waiting].map((message) => message.lane));
    for (const key of keys) {
      if (key !== undefined && this.#lanes.get(key)?.owner === consumer) {
        this.#lanes.delete(key);
      }
    }
    return waiting;
  }

  #putAside(lane: KeyLane, message: StoredMessage): void {
    if (lane.waiting.length === 0) {
      lane.owner.waitingLanes.push(lane);
    }
    // What came back has a lower position than what was read ahead, and goes before it.
    let at = lane.waiting.length;
    while (at > 0 && (lane.waiting[at - 1]?.position ?? 0) > message.position) {
      at--;
    }
    lane.waiting.splice(at, 0, message);
    this.#waiting++;
  }
}

/** FNV-1a over UTF-16 units. */
function hash(key: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) {
    value = Math.imul(value ^ key.charCodeAt(at), 0x01000193);
  }
  return value >>> 0;
}

import type { InvalidationMessage, StoreOrigin, StoreRefresh } from '@smartpulse/redis-cache';
import { EmbeddedCacheServer, type EntryProtocol, type EntryState } from '@smartpulse/redis-cache/embedded';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { settled, type Subject } from './automaton.js';
import type { Reply, Request } from './replica.subject.js';

/** One request, or the end of the key's life. */
export type ServerInput = Exclude<Request, { op: 'load' }> | { readonly op: 'expire' };

/** The answer, and what every replica is told. */
export interface ServerOutput {
  readonly reply: Reply;
  readonly messages: readonly InvalidationMessage[];
}

const STORED = '{sim:model:row}:v';
export const CHANNEL = 'sim:model:!inv';
export const APPLIER: StoreOrigin = { channel: CHANNEL, source: 'r', synced: true };

/** A write of the applier. */
export function applied(write: Pick<StoreRefresh, 'version' | 'payload' | 'ttlMs'>): StoreRefresh {
  return { ...APPLIER, key: STORED, ...write };
}

/** The real server in memory with one key. */
export class ServerSubject implements Subject<ServerInput, ServerOutput, EntryState | undefined> {
  readonly #server: EmbeddedCacheServer;
  #state: EntryState | undefined;
  #messages: InvalidationMessage[] = [];

  private constructor(protocol: EntryProtocol) {
    this.#server = new EmbeddedCacheServer({ clock: new VirtualClock(), protocol: this.#watched(protocol) });
  }

  static async create(protocol: EntryProtocol): Promise<ServerSubject> {
    const subject = new ServerSubject(protocol);
    await subject.#server.subscribe(CHANNEL, {
      onMessage: (message) => void subject.#messages.push(message),
      onTrusted: () => {},
      onUntrusted: () => {},
    });
    return subject;
  }

  async apply(input: ServerInput): Promise<ServerOutput> {
    this.#messages = [];
    const reply = this.#execute(input);
    await settled();
    return { reply, messages: this.#messages };
  }

  fingerprint(): string {
    return JSON.stringify(this.#state ?? null);
  }

  view(): EntryState | undefined {
    return this.#state;
  }

  async close(): Promise<void> {
    this.#server.close();
  }

  #execute(input: ServerInput): Reply {
    switch (input.op) {
      case 'get':
        return { of: 'get', entry: this.#server.get(STORED) };
      case 'set':
        return { of: 'set', reply: this.#server.set(input.write, input.token) };
      case 'refresh':
        return { of: 'change', reply: this.#server.refresh(input.write) };
      case 'invalidate':
        return {
          of: 'change',
          reply: this.#server.invalidate(STORED, input.version, input.origin, input.tombstoneTtlMs),
        };
      case 'evict':
        this.#server.evict(STORED, input.origin);
        break;
      case 'getOrLease':
        return { of: 'lease', reply: this.#server.getOrLease(STORED, input.token, input.leaseMs) };
      case 'release':
        this.#server.releaseLease(STORED, input.token, input.origin);
        break;
      case 'expire':
        this.#server.expire(STORED);
        this.#state = undefined;
        break;
    }
    return { of: 'done' };
  }

  /** Notes what each step leaves: the token of a lease is shown to nobody. */
  #watched(protocol: EntryProtocol): EntryProtocol {
    const noted = <S extends { readonly next: EntryState | undefined }>(step: S): S => {
      this.#state = step.next;
      return step;
    };
    const set = protocol.set.bind(protocol);
    const refresh = protocol.refresh.bind(protocol);
    const invalidate = protocol.invalidate.bind(protocol);
    const evict = protocol.evict.bind(protocol);
    const getOrLease = protocol.getOrLease.bind(protocol);
    const release = protocol.release.bind(protocol);
    protocol.set = (...call) => noted(set(...call));
    protocol.refresh = (...call) => noted(refresh(...call));
    protocol.invalidate = (...call) => noted(invalidate(...call));
    protocol.evict = (...call) => noted(evict(...call));
    protocol.getOrLease = (...call) => noted(getOrLease(...call));
    protocol.release = (...call) => noted(release(...call));
    return protocol;
  }
}

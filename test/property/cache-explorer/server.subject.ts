import type { FieldsWrite, InvalidationMessage, StoreOrigin, StoreRefresh } from '@smartpulse/redis-cache';
import { hashStamp, joinFields } from '@smartpulse/redis-cache';
import {
  EmbeddedCacheServer,
  type EmbeddedFields,
  type EntryProtocol,
  type EntryState,
  type FieldsProtocol,
  type HashContent,
} from '@smartpulse/redis-cache/embedded';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { settled, type Subject } from './automaton.js';
import type { Reply, Request } from './replica.subject.js';

/** One request, a change of fields, or the end of the key's life. */
export type ServerInput =
  | Exclude<Request, { op: 'load' }>
  | { readonly op: 'setFields'; readonly write: FieldsWrite }
  | { readonly op: 'expire' };

/** The answer, and what every replica is told. */
export interface ServerOutput {
  readonly reply: Reply;
  readonly messages: readonly InvalidationMessage[];
}

export const STORED = '{sim:model:row}:v';
export const CHANNEL = 'sim:model:!inv';
export const APPLIER: StoreOrigin = { channel: CHANNEL, source: 'r', synced: true };

/** A write of the applier. */
export function applied(write: Pick<StoreRefresh, 'version' | 'payload' | 'ttlMs'>): StoreRefresh {
  return { ...APPLIER, key: STORED, ...write };
}

type Requests = Pick<
  EmbeddedFields,
  'get' | 'set' | 'refresh' | 'invalidate' | 'evict' | 'getOrLease' | 'releaseLease' | 'expire'
>;

/** The real server in memory with one key, which holds a value or a hash. */
export class ServerSubject implements Subject<ServerInput, ServerOutput, EntryState | undefined> {
  #messages: InvalidationMessage[] = [];

  private constructor(
    private readonly server: EmbeddedCacheServer,
    private readonly requests: Requests,
    private readonly seen: Seen,
  ) {}

  static create(protocol: EntryProtocol): Promise<ServerSubject> {
    const seen: Seen = { state: undefined, fingerprint: 'null' };
    const watched = watch(protocol, (state) => {
      seen.state = state;
      seen.fingerprint = JSON.stringify(state ?? null);
    });
    const server = new EmbeddedCacheServer({ clock: new VirtualClock(), protocol: watched });
    return ServerSubject.#listening(new ServerSubject(server, server, seen));
  }

  static ofHashes(protocol: FieldsProtocol): Promise<ServerSubject> {
    const seen: Seen = { state: undefined, fingerprint: 'null' };
    const note = (state: EntryState<HashContent> | undefined): void => {
      seen.state = state?.kind === 'value' ? asValue(state) : state;
      // Tombstones of fields, too, which the value does not show.
      const fields = state?.kind === 'value' ? [...state.payload.fields].toSorted(([a], [b]) => (a < b ? -1 : 1)) : [];
      seen.fingerprint = JSON.stringify([seen.state ?? null, fields]);
    };
    const watched = watch(protocol, note);
    const setFields = watched.setFields.bind(watched);
    watched.setFields = (...call) => {
      const step = setFields(...call);
      note(step.next);
      return step;
    };
    const server = new EmbeddedCacheServer({ clock: new VirtualClock(), fieldsProtocol: watched });
    return ServerSubject.#listening(new ServerSubject(server, server.fields, seen));
  }

  static async #listening(subject: ServerSubject): Promise<ServerSubject> {
    await subject.server.subscribe(CHANNEL, {
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
    return this.seen.fingerprint;
  }

  view(): EntryState | undefined {
    return this.seen.state;
  }

  async close(): Promise<void> {
    this.server.close();
  }

  #execute(input: ServerInput): Reply {
    const { requests } = this;
    switch (input.op) {
      case 'get':
        return { of: 'get', entry: requests.get(STORED) };
      case 'set':
        return { of: 'set', reply: requests.set(input.write, input.token) };
      case 'refresh':
        return { of: 'change', reply: requests.refresh(input.write) };
      case 'setFields':
        this.server.fields.setFields(input.write);
        break;
      case 'invalidate':
        return {
          of: 'change',
          reply: requests.invalidate(STORED, input.version, input.origin, input.tombstoneTtlMs),
        };
      case 'evict':
        requests.evict(STORED, input.origin);
        break;
      case 'getOrLease':
        return { of: 'lease', reply: requests.getOrLease(STORED, input.token, input.leaseMs) };
      case 'release':
        requests.releaseLease(STORED, input.token, input.origin);
        break;
      case 'expire':
        requests.expire(STORED);
        this.seen.state = undefined;
        this.seen.fingerprint = 'null';
        break;
    }
    return { of: 'done' };
  }
}

/** What the latest step has left. */
interface Seen {
  state: EntryState | undefined;
  fingerprint: string;
}

/** Notes what each step leaves: the token of a lease is shown to nobody. */
function watch<P, Rules extends EntryProtocol<P>>(
  protocol: Rules & EntryProtocol<P>,
  note: (state: EntryState<P> | undefined) => void,
): Rules {
  const noted = <S extends { readonly next: EntryState<P> | undefined }>(step: S): S => {
    note(step.next);
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

/** A hash as the value that its readers are shown. */
function asValue({ version, payload }: Extract<EntryState<HashContent>, { kind: 'value' }>): EntryState {
  const fields = [...payload.fields].flatMap(([name, field]) =>
    field.payload === null ? [] : [{ name, version: field.version, payload: field.payload }],
  );
  return { kind: 'value', version: hashStamp(version, payload.revision), payload: joinFields(fields) };
}

import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type CacheHit,
  type CacheNamespace,
  CacheStore,
  type ChangeReply,
  type EntryVersion,
  type GivenVersion,
  type InvalidationListener,
  type InvalidationMessage,
  type LeaseReply,
  type Loaded,
  type SetReply,
  type StoredEntry,
  type StoreOrigin,
  type StoreRefresh,
  type StoreWrite,
  type SweepReply,
  type SweepRequest,
  VersionedCache,
} from '@smartpulse/redis-cache';
import type { Flight, LocalView, SharedLoad, SimulatedValue } from '@smartpulse/redis-cache/testing';
import { Random } from '@smartpulse/resilience';
import { settled, type Subject } from './automaton.js';
import { PatientClock } from './patient.clock.js';

/** What a replica asks of the store, or its loader of the database. */
export type Request =
  | { readonly op: 'get' }
  | { readonly op: 'set'; readonly write: StoreWrite; readonly token: string | undefined }
  | { readonly op: 'refresh'; readonly write: StoreRefresh }
  | {
      readonly op: 'invalidate';
      readonly version: GivenVersion;
      readonly origin: StoreOrigin;
      readonly tombstoneTtlMs: number;
    }
  | { readonly op: 'evict'; readonly origin: StoreOrigin }
  | { readonly op: 'getOrLease'; readonly token: string; readonly leaseMs: number }
  | { readonly op: 'release'; readonly token: string; readonly origin: StoreOrigin }
  | { readonly op: 'load' };

/** What comes back; `failed`: nothing does in time, or the loader throws. */
export type Reply =
  | { readonly of: 'get'; readonly entry: StoredEntry | undefined }
  | { readonly of: 'set'; readonly reply: SetReply }
  | { readonly of: 'change'; readonly reply: ChangeReply }
  | { readonly of: 'lease'; readonly reply: LeaseReply }
  | { readonly of: 'load'; readonly loaded: Loaded<SimulatedValue> }
  | { readonly of: 'done' }
  | { readonly of: 'failed' };

/** A call of the cache, by what it does. */
export type Call =
  | { readonly call: 'get' | 'evict' }
  /** `token` tells its leases from those of other calls. */
  | { readonly call: 'load'; readonly token: string }
  | { readonly call: 'set'; readonly value: SimulatedValue | undefined; readonly version: EntryVersion }
  | { readonly call: 'invalidate'; readonly version: EntryVersion };

/** What happens to a replica. Calls have slots, one call at a time in each. */
export type ReplicaInput =
  | ({ readonly do: 'begin'; readonly slot: number } & Call)
  | { readonly do: 'reply'; readonly slot: number; readonly reply: Reply }
  | { readonly do: 'hear'; readonly message: InvalidationMessage | 'untrusted' | 'trusted' }
  /** `age`: the life of what the first level holds is over, and it is kept. `tire`: whoever waits for a load has waited long enough. */
  | { readonly do: 'expire' | 'tick' | 'age' | 'tire' };

/** How a call ended. */
export interface Ended {
  readonly slot: number;
  /**
   * What a reader was shown: `undefined`: none; a value of `undefined` is a negative entry. `kept`: what the first level keeps beyond its life; `own`: what was read for it, although something later
   * is known by now.
   */
  readonly hit: { readonly value: SimulatedValue | undefined; readonly shows: 'latest' | 'kept' | 'own' } | undefined;
  readonly failed: boolean;
}

/** What follows from an input. */
export interface ReplicaOutput {
  readonly ended: readonly Ended[];
  readonly loaders: number;
}

/** What others see of a replica. */
export interface ReplicaView {
  /** By slot; a call without a request waits for others. */
  readonly calls: readonly { readonly slot: number; readonly request: Request | undefined }[];
  readonly kept: { readonly value: SimulatedValue | undefined } | undefined;
  /** The life of that is over. */
  readonly aged: boolean;
  readonly trusted: boolean;
  readonly waiting: boolean;
  /** Somebody waits for a load, for no longer than a while. */
  readonly tires: boolean;
  /** A load runs for which others did not wait. */
  readonly tired: boolean;
}

const KEY = 'row';
const POLL_MS = 2_000;

interface Running {
  readonly slot: number;
  readonly token: string;
  readonly call: Call['call'];
  request: Request | undefined;
  resolve: (reply: Reply) => void;
  flight: Flight | undefined;
  generation: number;
  load: SharedLoad<SimulatedValue> | undefined;
  /** It answers what another call answers. */
  joined: number | undefined;
  /** Its caller did not wait for the load, which goes on. */
  answered: boolean;
  /** Its load has ended. */
  over: boolean;
  // What a load remembers, told by what it did.
  loaders: number;
  rereads: number;
  woken: boolean;
  lastReply: string;
  accepted: boolean | undefined;
}

/** A random that is none: names are those of the slot that asks. */
class NamedChance extends Random {
  constructor(private readonly name: () => string) {
    super();
  }

  override next(): number {
    return 0.5;
  }

  override bytes(size: number): Uint8Array {
    return new Uint8Array(size);
  }

  override id(): string {
    return this.name();
  }
}

/** A real `VersionedCache` whose store, bus and loaders are the hands of a test. */
export class ReplicaSubject extends CacheStore implements Subject<ReplicaInput, ReplicaOutput, ReplicaView> {
  readonly durable = false;
  readonly shared = true;
  readonly #clock = new PatientClock();
  readonly #slots = new AsyncLocalStorage<Running>();
  readonly #running = new Map<number, Running>();
  readonly #view: LocalView<SimulatedValue>;
  readonly #cache: VersionedCache<SimulatedValue>;
  /** What the first level holds beyond its life. */
  #aged: ReturnType<LocalView<SimulatedValue>['inspect']>;
  #listener: InvalidationListener | undefined;
  #generation = 0;
  #ended: Ended[] = [];
  #loaders = 0;

  private constructor(view: LocalView<SimulatedValue>, namespace: CacheNamespace<SimulatedValue>) {
    super();
    this.#view = this.#watched(view);
    this.#cache = new VersionedCache({
      namespace,
      prefix: 'sim',
      nodeId: 'r',
      store: this,
      clock: this.#clock,
      random: new NamedChance(() => this.#turn()),
      view: this.#view,
      // The store keeps nothing beyond its life: what the first level does is what is looked at.
      keepsOld: false,
    });
  }

  static async create(
    view: LocalView<SimulatedValue>,
    namespace: CacheNamespace<SimulatedValue>,
  ): Promise<ReplicaSubject> {
    const subject = new ReplicaSubject(view, namespace);
    await subject.#cache.connect({
      subscribe: async (_, listener) => {
        subject.#listener = listener;
        listener.onTrusted();
        return { close: async () => {} };
      },
      observeLag: () => () => {},
    });
    return subject;
  }

  async apply(input: ReplicaInput): Promise<ReplicaOutput> {
    this.#ended = [];
    this.#loaders = 0;
    switch (input.do) {
      case 'begin':
        this.#begin(input.slot, input);
        break;
      case 'reply':
        this.#reply(input.slot, input.reply);
        break;
      case 'hear':
        this.#hear(input.message);
        break;
      case 'expire':
        this.#view.expire(KEY);
        break;
      case 'tick':
        await this.#clock.advance(POLL_MS);
        break;
      case 'age':
        this.#aged = this.#view.inspect(KEY);
        break;
      case 'tire':
        this.#clock.tire();
        // A cache that lacks a rule may remember what was found first: it is looked for at once, not when somebody comes.
        this.#view.shared(KEY);
        break;
    }
    await settled();
    // A copy: what ends because the run is over is no part of it.
    return { ended: this.#ended.toSorted((a, b) => a.slot - b.slot), loaders: this.#loaders };
  }

  fingerprint(): string {
    const shared = this.#view.shared(KEY);
    const entry = this.#view.inspect(KEY);
    const calls = this.#calls().map((running) => [
      running.slot,
      running.call,
      running.joined ?? null,
      running.request ?? null,
      running.call === 'load' && [running.token, running.loaders, running.rereads, running.woken],
      running.request?.op === 'set' && (running.accepted ?? null),
      // Under a lease, or because the store does not answer.
      running.request?.op === 'load' && running.lastReply,
      running.flight && [running.flight.floor, running.flight.exclusive, running.flight.mayFill],
      running.generation === this.#generation,
      shared !== undefined && shared === running.load && [shared.stamp ?? null],
      // What would be shown to who joins it.
      [running.answered, running.load?.meanwhile && [running.load.meanwhile()?.value ?? null]],
    ]);
    return JSON.stringify([entry && [entry.value ?? null, entry.version, this.#isAged], this.#cache.trusted, calls]);
  }

  view(): ReplicaView {
    const entry = this.#view.inspect(KEY);
    const calls = this.#calls();
    return {
      calls: calls.map(({ slot, request }) => ({ slot, request })),
      kept: entry && { value: entry.value },
      aged: this.#isAged,
      tires: this.#clock.tires,
      tired: this.#view.shared(KEY)?.meanwhile !== undefined,
      trusted: this.#cache.trusted,
      waiting: calls.some(({ request, joined }) => request === undefined && joined === undefined),
    };
  }

  async close(): Promise<void> {
    await this.#cache.close();
    await settled();
  }

  override get(): Promise<StoredEntry | undefined> {
    return this.#ask({ op: 'get' }, (reply) => (reply.of === 'get' ? reply.entry : unexpected(reply)));
  }

  override set(write: StoreWrite, token?: string): Promise<SetReply> {
    return this.#ask({ op: 'set', write, token }, (reply) => (reply.of === 'set' ? reply.reply : unexpected(reply)));
  }

  override refresh(write: StoreRefresh): Promise<ChangeReply> {
    return this.#ask({ op: 'refresh', write }, (reply) => (reply.of === 'change' ? reply.reply : unexpected(reply)));
  }

  override setAll(): Promise<never> {
    throw new Error('No call of the explorer sets many.');
  }

  override stamp(): Promise<never> {
    throw new Error('No key of the explorer has a stamp of its own.');
  }

  override invalidate(
    _key: string,
    version: GivenVersion,
    origin: StoreOrigin,
    tombstoneTtlMs: number,
  ): Promise<ChangeReply> {
    return this.#ask({ op: 'invalidate', version, origin, tombstoneTtlMs }, (reply) =>
      reply.of === 'change' ? reply.reply : unexpected(reply),
    );
  }

  override evict(_key: string, origin: StoreOrigin): Promise<void> {
    return this.#ask({ op: 'evict', origin }, () => {});
  }

  override getOrLease(_key: string, token: string, leaseMs: number): Promise<LeaseReply> {
    return this.#ask({ op: 'getOrLease', token, leaseMs }, (reply) =>
      reply.of === 'lease' ? reply.reply : unexpected(reply),
    );
  }

  override releaseLease(_key: string, token: string, origin: StoreOrigin): Promise<void> {
    return this.#ask({ op: 'release', token, origin }, () => {});
  }

  override renewLease(): Promise<boolean> {
    throw new Error('No time passes that a lease could end in.');
  }

  override getMany(): Promise<never> {
    throw new Error('One key only.');
  }

  override sweep(_request: SweepRequest): Promise<SweepReply> {
    throw new Error('Sweeps are no part of this.');
  }

  #begin(slot: number, what: Call): void {
    const running: Running = {
      slot,
      token: what.call === 'load' ? what.token : '',
      call: what.call,
      request: undefined,
      resolve: () => {},
      flight: undefined,
      generation: this.#generation,
      load: undefined,
      joined: undefined,
      answered: false,
      over: false,
      loaders: 0,
      rereads: 0,
      woken: false,
      lastReply: '',
      accepted: undefined,
    };
    this.#running.set(slot, running);
    const joinable = this.#view.shared(KEY);
    this.#slots.run(running, () => {
      this.#end(running, this.#call(what)).catch((error: unknown) => {
        throw error;
      });
    });
    if (what.call === 'load' && running.flight === undefined && joinable !== undefined) {
      running.joined = this.#calls().find(({ load }) => load === joinable)?.slot;
    }
  }

  async #call(what: Call): Promise<CacheHit<SimulatedValue> | undefined> {
    switch (what.call) {
      case 'get':
        return await this.#cache.get(KEY);
      case 'load':
        return await this.#cache.getOrLoad(KEY, () => this.#loader());
      case 'evict':
        await this.#cache.evict(KEY);
        break;
      case 'invalidate':
        await this.#cache.invalidate(KEY, what.version);
        break;
      case 'set':
        await this.#cache.set(KEY, what.value, what.version);
        break;
    }
    return undefined;
  }

  async #end(running: Running, answer: Promise<CacheHit<SimulatedValue> | undefined>): Promise<void> {
    const { slot } = running;
    let ended: Ended = { slot, hit: undefined, failed: true };
    try {
      const hit = await answer;
      ended = { slot, hit: hit && { value: hit.value, shows: showsOf(hit) }, failed: false };
    } catch (error) {
      if (!(error instanceof Error)) {
        throw error;
      }
    }
    running.answered = running.load !== undefined && !running.over;
    if (!running.answered) {
      this.#running.delete(slot);
    }
    this.#ended.push(ended);
  }

  #loader(): Promise<Loaded<SimulatedValue>> {
    const running = this.#current();
    running.loaders++;
    this.#loaders++;
    return this.#ask({ op: 'load' }, (reply) => (reply.of === 'load' ? reply.loaded : unexpected(reply)));
  }

  async #ask<R>(request: Request, read: (reply: Reply) => R): Promise<R> {
    const running = this.#current();
    if (running.request !== undefined) {
      throw new Error('A call asks one thing at a time.');
    }
    running.request = request;
    const reply = await new Promise<Reply>((resolve) => {
      running.resolve = resolve;
    });
    if (reply.of === 'failed') {
      throw new Error('No answer.');
    }
    return read(reply);
  }

  #reply(slot: number, reply: Reply): void {
    const running = this.#running.get(slot);
    if (running === undefined) {
      throw new Error(`Nothing runs in ${slot}.`);
    }
    running.request = undefined;
    running.lastReply = reply.of === 'lease' ? reply.reply.kind : isUsable(reply) ? 'hit' : reply.of;
    running.resolve(reply);
  }

  #hear(message: InvalidationMessage | 'untrusted' | 'trusted'): void {
    for (const running of this.#running.values()) {
      running.woken = true;
    }
    if (message === 'untrusted') {
      this.#listener?.onUntrusted('A test.');
    } else if (message === 'trusted') {
      this.#listener?.onTrusted();
    } else {
      this.#listener?.onMessage(message);
    }
  }

  /** A load begins a turn with the name of its lease. */
  #turn(): string {
    const running = this.#current();
    running.rereads += running.lastReply === 'hit' ? 1 : 0;
    running.lastReply = '';
    running.woken = false;
    return running.token;
  }

  #current(): Running {
    const running = this.#slots.getStore();
    if (running === undefined) {
      throw new Error('Nobody asks.');
    }
    return running;
  }

  get #isAged(): boolean {
    return this.#aged !== undefined && this.#aged === this.#view.inspect(KEY);
  }

  #calls(): readonly Running[] {
    return [...this.#running.values()].toSorted((a, b) => a.slot - b.slot);
  }

  /** Notes which flights and loads belong to which call. */
  #watched(view: LocalView<SimulatedValue>): LocalView<SimulatedValue> {
    const begin = view.begin.bind(view);
    const share = view.share.bind(view);
    const accepts = view.accepts.bind(view);
    const flush = view.flush.bind(view);
    const end = view.end.bind(view);
    const live = view.entry.bind(view);
    view.entry = (key, nowMs) => (this.#isAged ? undefined : live(key, nowMs));
    view.end = (flight) => {
      end(flight);
      const running = [...this.#running.values()].find((one) => one.flight === flight);
      if (running !== undefined) {
        running.over = true;
        if (running.answered) {
          this.#running.delete(running.slot);
        }
      }
    };
    view.begin = (key) => {
      const flight = begin(key);
      const running = this.#slots.getStore();
      if (running !== undefined) {
        running.flight = flight;
        running.generation = this.#generation;
      }
      return flight;
    };
    view.share = (load) => {
      this.#current().load = load;
      share(load);
    };
    view.accepts = (flight, version) => {
      const accepted = accepts(flight, version);
      const running = this.#slots.getStore();
      if (running?.flight === flight) {
        running.accepted = accepted;
      }
      return accepted;
    };
    view.flush = (reason) => {
      this.#generation++;
      flush(reason);
    };
    return view;
  }
}

function showsOf({ stale, level }: CacheHit<SimulatedValue>): 'latest' | 'kept' | 'own' {
  if (!stale) {
    return 'latest';
  }
  return level === 'l1' ? 'kept' : 'own';
}

function isUsable(reply: Reply): boolean {
  return reply.of === 'get' && (reply.entry?.kind === 'value' || reply.entry?.kind === 'negative');
}

function unexpected(reply: Reply): never {
  throw new TypeError(`"${reply.of}" answers something else.`);
}

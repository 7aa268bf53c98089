import type { EntryVersion, InvalidationMessage } from '@smartpulse/redis-cache';
import { EntryProtocol, FieldsProtocol } from '@smartpulse/redis-cache/embedded';
import { LocalView, type SimulatedValue, withoutFieldRule, withoutRule } from '@smartpulse/redis-cache/testing';
import { Automaton, Interned } from './automaton.js';
import { Bases } from './bases.js';
import type { Bounds } from './bounds.js';
import { type ReplicaInput, type ReplicaOutput, ReplicaSubject, type Reply } from './replica.subject.js';
import { FieldTruth } from './field-truth.js';
import { Plans, type Replicas, type Served, type Server, type Step } from './plans.js';
import { ServerSubject } from './server.subject.js';
import { Counted, Lists, places, type State } from './state.js';
import { Truth } from './truth.js';

const { at, counted, DELIVERIES, INBOX, MISC, REPLICA, REPLIES, SERVER, WIDTH, ZOMBIES } = places;

/** Beside the readers: what the writer and the users of a replica do. */
const WRITER = 4;
const USER = 5;
const UNTRUSTED = 'untrusted';
const TRUSTED = 'trusted';

type Message = InvalidationMessage | typeof UNTRUSTED | typeof TRUSTED;
/** What is on its way to a call: an answer, or what the first statement of its loader has read. */
type Pending = Reply | { readonly of: 'stamp'; readonly index: number } | { readonly of: 'nothing' };

/** Both replicas, the store, the database and everything on its way between them; each step of a cache is one of the real code. */
export class World {
  readonly replicas: readonly [Replicas, Replicas];
  readonly server: Server;
  readonly #plans: Plans;
  readonly #pending = new Interned<Pending>();
  readonly #messages = new Interned<Message>();
  readonly #lists = new Lists();
  // What was found out, by replica (or slot, or state), then by input: looked up at each step.
  readonly #reads: (number | undefined)[] = [];
  readonly #replyInputs: (number | undefined)[][] = [];
  readonly #servedBy: (Served | undefined)[][] = [];
  readonly #steps: readonly [(Step | undefined)[][], (Step | undefined)[][]] = [[], []];
  /** Inputs that come again and again, by a number of their own. */
  readonly #known: readonly [(number | undefined)[], (number | undefined)[]] = [[], []];
  readonly #listens: readonly boolean[];
  readonly #changes: number[] = [];
  readonly #next = new Int32Array(WIDTH);
  readonly #bases: Bases;
  readonly #truth: Truth;
  #missing: (() => Promise<void>)[] = [];
  /** Labels are made. */
  telling = false;
  broken: { invariant: string; detail: string } | undefined;

  constructor(private readonly bounds: Bounds) {
    // Anew for each run, which watches what it was given.
    const rules = (): ReturnType<typeof withoutRule> =>
      bounds.without === undefined ? {} : withoutRule(bounds.without);
    const make = (): Replicas =>
      new Automaton(() => {
        const { namespace } = this.#truth;
        return ReplicaSubject.create(rules().view?.(namespace) ?? new LocalView<SimulatedValue>(namespace), namespace);
      });
    const fieldsProtocol = (): FieldsProtocol =>
      bounds.withoutField === undefined ? new FieldsProtocol() : withoutFieldRule(bounds.withoutField);
    this.#truth = bounds.shape === 'fields' ? new FieldTruth(bounds) : new Truth(bounds);
    this.#bases = new Bases(this.#next, (a, b) => this.#truth.joined(a, b));
    this.replicas = [make(), make()];
    this.server = new Automaton(() =>
      bounds.shape === 'fields'
        ? ServerSubject.ofHashes(fieldsProtocol())
        : ServerSubject.create(rules().protocol ?? new EntryProtocol()),
    );
    this.#plans = new Plans(this.replicas, this.server);
    const { readers, writer = false, sets = 0, evictions = 0 } = bounds;
    this.#listens = [readers[0].length > 0 || writer || evictions > 0, readers[1].length > 0 || sets > 0];
    // Number 0: nothing on its way.
    this.#pending.id({ of: 'nothing' });
  }

  async start(): Promise<State> {
    const state = new Int32Array(WIDTH);
    state[SERVER] = await this.server.start();
    state[REPLICA] = await this.replicas[0].start();
    state[REPLICA + 1] = await this.replicas[1].start();
    state[MISC] = new Counted(0).full(this.bounds).bits;
    return state;
  }

  /** All that can happen next, each told to `emit`. */
  expand(state: State, emit: Emit): Promise<void> | undefined {
    this.#expand(state, emit);
    return this.#missing.length === 0 ? undefined : this.#learn(state, emit);
  }

  async #learn(state: State, emit: Emit): Promise<void> {
    while (this.#missing.length > 0) {
      const missing = this.#missing;
      this.#missing = [];
      for (const learn of missing) {
        await learn();
      }
      this.#expand(state, emit);
    }
  }

  /** Nothing is on its way, and every change has been delivered. */
  quiet(state: State): boolean {
    const misc = counted(state);
    return (
      misc.allDelivered &&
      misc.idle &&
      at(state, ZOMBIES) === 0 &&
      at(state, INBOX) === 0 &&
      at(state, INBOX + 1) === 0 &&
      this.#used(state, 0) === 0 &&
      this.#used(state, 1) === 0
    );
  }

  /** What is kept at rest is the latest. */
  fresh(state: State): string | undefined {
    const latest = this.#truth.whole(counted(state).commits);
    const stored = this.server.view(at(state, SERVER));
    const kept = [
      ['the store', stored?.kind === 'value' || stored?.kind === 'negative' ? this.#truth.contentOf(stored) : latest],
      ...[0, 1].map((r) => {
        const entry = this.#plans.of(r, at(state, REPLICA + r)).view.kept;
        return [`replica ${r}`, entry === undefined ? latest : this.#truth.shown(entry.value)] as const;
      }),
    ] as const;
    const old = kept.find(([, content]) => content !== latest);
    return old === undefined ? undefined : `${old[0]} kept ${old[1]}, the latest is ${latest}`;
  }

  #used(state: State, r: number): number {
    return this.#plans.of(r, at(state, REPLICA + r)).used;
  }

  #expand(state: State, emit: Emit): void {
    this.#expandReplica(state, 0, emit);
    this.#expandReplica(state, 1, emit);
    this.#expandWorld(state, emit);
  }

  #expandReplica(state: State, r: number, emit: Emit): void {
    const plan = this.#plans.of(r, at(state, REPLICA + r));
    const readers = this.bounds.readers[r as 0 | 1];
    for (let slot = 0; slot < readers.length; slot++) {
      const call = readers[slot] ?? 'get';
      if ((plan.used & (1 << slot)) === 0 && (call !== 'join' || plan.view.tired)) {
        this.#copy(state);
        this.#bases.set(
          r,
          slot,
          plan.view.trusted ? this.#bases.kept(r, 'shown') : 0,
          this.#bases.kept(r, 'committed'),
        );
        const again = call === 'get' ? 0 : this.#tokensInUse(state, r, slot);
        const token = tokenOf(r, slot, again);
        this.#input(
          r,
          again === 0 ? slot : 20 + again * 4 + slot,
          () => (call === 'get' ? { do: 'begin', slot, call } : { do: 'begin', slot, call: 'load', token }),
          emit,
          () => `${name(r)}: ${call} ${slot} begins`,
        );
      }
    }
    for (const { slot, server } of plan.calls) {
      const pending = this.#lists.item(at(state, REPLIES + r), slot);
      if (pending === 0 || this.#pending.get(pending).of === 'stamp') {
        if (server >= 0) {
          this.#execute(state, r, slot, server, emit);
        } else {
          this.#loader(state, r, slot, pending, emit);
        }
      } else {
        this.#copy(state);
        this.#next[REPLIES + r] = this.#lists.with(at(state, REPLIES + r), slot, 0);
        this.#deliver(r, slot, pending, emit);
      }
      this.#fail(state, r, slot, server, pending, emit);
    }
    const inbox = at(state, INBOX + r);
    if (inbox !== 0) {
      const message = this.#messages.get(this.#lists.head(inbox));
      this.#copy(state);
      this.#next[INBOX + r] = this.#lists.tail(inbox);
      if (message === UNTRUSTED || message === TRUSTED) {
        this.#bases.forget(r);
      }
      this.#input(
        r,
        32 + this.#lists.head(inbox),
        () => ({ do: 'hear', message }),
        emit,
        () =>
          `${name(r)}: hears ${typeof message === 'string' ? message : `${message.action} ${text(message.version)}`}`,
      );
    }
    if (plan.view.kept !== undefined) {
      this.#copy(state);
      this.#input(
        r,
        8,
        () => ({ do: 'expire' }),
        emit,
        () => `${name(r)}: first level forgets`,
      );
    }
    const misc = counted(state);
    if (plan.view.kept !== undefined && !plan.view.aged && misc.left('ages') > 0) {
      this.#copy(state);
      this.#next[MISC] = misc.spend('ages').bits;
      this.#input(
        r,
        20,
        () => ({ do: 'age' }),
        emit,
        () => `${name(r)}: a life in the first level ends`,
      );
    }
    if (plan.view.tires) {
      this.#copy(state);
      this.#input(
        r,
        21,
        () => ({ do: 'tire' }),
        emit,
        () => `${name(r)}: who waits for a load has waited long enough`,
      );
    }
    if (plan.view.waiting) {
      this.#copy(state);
      this.#input(
        r,
        9,
        () => ({ do: 'tick' }),
        emit,
        () => `${name(r)}: polls`,
      );
    }
  }

  /** How many tokens of this slot are not to be used again. */
  #tokensInUse(state: State, r: number, slot: number): number {
    let again = 0;
    while (this.#tokenInUse(state, tokenOf(r, slot, again))) {
      again++;
    }
    return again;
  }

  /** An earlier call was given up, and its lease, its question for one, or its set, is still about. */
  #tokenInUse(state: State, token: string): boolean {
    const stands = this.server.view(at(state, SERVER));
    if (stands?.kind === 'lease' && stands.token === token) {
      return true;
    }
    for (let zombies = at(state, ZOMBIES); zombies !== 0; zombies = this.#lists.tail(zombies)) {
      const given = this.server.inputs.get(this.#lists.head(zombies));
      if ('token' in given && given.token === token) {
        return true;
      }
    }
    return false;
  }

  /** A request reaches the server. */
  #execute(state: State, r: number, slot: number, server: number, emit: Emit): void {
    const edge = this.#serve(at(state, SERVER), server);
    if (edge !== undefined) {
      this.#copy(state);
      this.#served(edge);
      this.#next[REPLIES + r] = this.#lists.with(at(state, REPLIES + r), slot, edge.reply);
      emit(
        this.#next,
        this.telling
          ? `${name(r)}: ${this.server.inputs.get(server).op} of ${slot} executes: ${JSON.stringify(this.#pending.get(edge.reply))}`
          : '',
      );
    }
  }

  /** The loader's statements reach the database. */
  #loader(state: State, r: number, slot: number, pending: number, emit: Emit): void {
    const { commits } = counted(state);
    const begun = this.#pending.get(pending);
    const stamp = this.bounds.stamp !== 'earlier' ? commits : begun.of === 'stamp' ? begun.index : undefined;
    const next = (this.#reads[stamp === undefined ? commits : (stamp + 1) * 4 + commits] ??= this.#pending.id(
      stamp === undefined ? { of: 'stamp', index: commits } : this.#loaded(stamp, commits),
    ));
    this.#copy(state);
    this.#next[REPLIES + r] = this.#lists.with(at(state, REPLIES + r), slot, next);
    emit(
      this.#next,
      this.telling ? `${name(r)}: loader of ${slot} reads ${JSON.stringify(this.#pending.get(next))}` : '',
    );
  }

  #loaded(stamp: number, content: number): Reply {
    return { of: 'load', loaded: { value: this.#truth.valueOf(content), version: this.#truth.stamp(stamp) } };
  }

  /** No answer comes in time, or the loader throws. */
  #fail(state: State, r: number, slot: number, server: number, pending: number, emit: Emit): void {
    const misc = counted(state);
    const what = server < 0 ? 'failures' : 'timeouts';
    if (misc.left(what) === 0) {
      return;
    }
    this.#copy(state);
    this.#next[MISC] = misc.spend(what).bits;
    this.#next[REPLIES + r] = this.#lists.with(at(state, REPLIES + r), slot, 0);
    if (server >= 0 && pending === 0) {
      // It may still arrive.
      this.#next[ZOMBIES] = this.#lists.pushed(at(state, ZOMBIES), server);
    }
    this.#deliver(r, slot, this.#pending.id({ of: 'failed' }), emit);
  }

  #deliver(r: number, slot: number, pending: number, emit: Emit): void {
    const reply = this.#pending.get(pending);
    if (reply.of === 'stamp' || reply.of === 'nothing') {
      throw new Error('Nothing is to be delivered.');
    }
    const known = (this.#replyInputs[r * 8 + slot] ??= []);
    const input = (known[pending] ??= this.replicas[r as 0 | 1].inputs.id({ do: 'reply', slot, reply }));
    this.#inputId(r, input, emit, () => `${name(r)}: answer to ${slot}: ${JSON.stringify(reply)}`);
  }

  #expandWorld(state: State, emit: Emit): void {
    const misc = counted(state);
    if (misc.left('expiries') > 0 && this.server.view(at(state, SERVER)) !== undefined) {
      this.#direct(state, this.#serverInput(0), misc.spend('expiries'), emit, 'the key expires in the store');
    }
    if (misc.commits < this.bounds.commits) {
      this.#copy(state);
      this.#next[MISC] = misc.commit(false).bits;
      emit(this.#next, this.telling ? `somebody commits ${misc.commits + 1}` : '');
      if (this.bounds.writer === true && misc.idle && (this.#used(state, 0) & (1 << WRITER)) === 0) {
        this.#copy(state);
        this.#next[MISC] = misc.commit(true).bits;
        emit(this.#next, this.telling ? `a: commits ${misc.commits + 1}` : '');
      }
    }
    if (misc.writing > 0) {
      this.#copy(state);
      this.#next[MISC] = misc.written().bits;
      this.#bases.set(0, WRITER, 0, this.#truth.whole(misc.writing));
      this.#input(
        0,
        12 + misc.commits,
        () => ({ do: 'begin', slot: WRITER, call: 'invalidate', version: this.#truth.stamp(misc.commits) }),
        emit,
        () => `a: committed(${misc.writing}) invalidates ${misc.commits}`,
      );
    }
    for (let index = 1; index <= misc.commits; index++) {
      if (misc.delivered(index) === DELIVERIES) {
        continue;
      }
      this.#direct(
        state,
        this.#serverInput(index),
        misc.deliver(index),
        emit,
        this.telling ? `change ${index} is delivered` : '',
      );
    }
    this.#user(state, misc, emit);
    this.#lines(state, misc, emit);
    const zombies = at(state, ZOMBIES);
    if (zombies !== 0) {
      const edge = this.#serve(at(state, SERVER), this.#lists.head(zombies));
      if (edge !== undefined) {
        this.#copy(state);
        this.#served(edge);
        this.#next[ZOMBIES] = this.#lists.tail(zombies);
        emit(
          this.#next,
          this.telling
            ? `a request that was given up executes: ${JSON.stringify(this.server.inputs.get(this.#lists.head(zombies)))}`
            : '',
        );
      }
    }
  }

  /** Sets without a lease, by the second replica, and evictions, by the first. */
  #user(state: State, misc: Counted, emit: Emit): void {
    if (misc.left('sets') > 0 && (this.#used(state, 1) & (1 << USER)) === 0) {
      const { commits } = misc;
      this.#copy(state);
      this.#next[MISC] = misc.spend('sets').bits;
      this.#input(
        1,
        16 + commits,
        () => ({
          do: 'begin',
          slot: USER,
          call: 'set',
          value: this.#truth.valueOf(commits),
          version: this.#truth.stamp(commits),
        }),
        emit,
        () => `b: set of ${commits} begins`,
      );
    }
    if (misc.left('evictions') > 0 && (this.#used(state, 0) & (1 << USER)) === 0) {
      this.#copy(state);
      this.#next[MISC] = misc.spend('evictions').bits;
      this.#bases.set(0, USER, 0, this.#truth.whole(misc.commits));
      this.#input(
        0,
        10,
        () => ({ do: 'begin', slot: USER, call: 'evict' }),
        emit,
        () => 'a: evict begins',
      );
    }
  }

  #lines(state: State, misc: Counted, emit: Emit): void {
    if (this.bounds.cuts === undefined) {
      return;
    }
    for (const r of [0, 1]) {
      if (misc.isCut(r)) {
        this.#copy(state);
        this.#next[MISC] = misc.mended(r).bits;
        this.#next[INBOX + r] = this.#lists.pushed(at(state, INBOX + r), this.#messages.id(TRUSTED));
        emit(this.#next, this.telling ? `${name(r)}: line mended` : '');
      } else if (misc.left('cuts') > 0) {
        this.#copy(state);
        this.#next[MISC] = misc.spend('cuts').cut(r).bits;
        this.#next[INBOX + r] = this.#lists.pushed(0, this.#messages.id(UNTRUSTED));
        emit(this.#next, this.telling ? `${name(r)}: line cut` : '');
      }
    }
  }

  /** 0: the end of the key; else the change of that commit. */
  #serverInput(index: number): number {
    return (this.#changes[index] ??= this.server.inputs.id(index === 0 ? { op: 'expire' } : this.#truth.change(index)));
  }

  #direct(state: State, input: number, misc: Counted, emit: Emit, label: string): void {
    const edge = this.#serve(at(state, SERVER), input);
    if (edge !== undefined) {
      this.#copy(state);
      this.#next[MISC] = misc.bits;
      this.#served(edge);
      emit(this.#next, label);
    }
  }

  #serve(node: number, input: number): Served | undefined {
    const served = this.#servedBy[node]?.[input];
    if (served === undefined) {
      this.#missing.push(async () => {
        await this.server.learn(node, input);
        const { to, output } = learned(this.server.edge(node, input));
        const detail = this.#truth.problemOf(this.server.view(node), this.server.view(to));
        if (detail !== undefined) {
          this.broken ??= { invariant: 'I2', detail };
        }
        (this.#servedBy[node] ??= [])[input] = {
          to,
          reply: this.#pending.id(output.reply),
          messages: output.messages.map((message) => this.#messages.id(message)),
        };
      });
    }
    return served;
  }

  #served({ to, messages }: Served): void {
    this.#next[SERVER] = to;
    if (messages.length > 0) {
      const misc = counted(this.#next);
      for (let r = 0; r < 2; r++) {
        if (this.#listens[r] === true && !misc.isCut(r)) {
          for (const message of messages) {
            this.#next[INBOX + r] = this.#lists.pushed(at(this.#next, INBOX + r), message);
          }
        }
      }
    }
  }

  /** @param key of the input, unique on its replica. */
  #input(r: number, key: number, input: () => ReplicaInput, emit: Emit, label: () => string): void {
    const known = this.#known[r as 0 | 1];
    this.#inputId(r, (known[key] ??= this.replicas[r as 0 | 1].inputs.id(input())), emit, label);
  }

  #inputId(r: number, input: number, emit: Emit, label: () => string): void {
    const node = at(this.#next, REPLICA + r);
    const step = this.#steps[r as 0 | 1][node]?.[input];
    if (step === undefined) {
      this.#missing.push(() => this.#learnStep(r as 0 | 1, node, input));
      return;
    }
    this.#next[REPLICA + r] = step.to;
    for (const { slot, failed, shown } of step.ended) {
      if (slot >= WRITER && !failed) {
        // What is shown from now on is not from before its commit, or before what it has evicted.
        this.#bases.raise(r, 'committed', this.#bases.of(r, slot, 'i4'));
      } else if (shown !== undefined) {
        this.#checkShown(r, slot, shown);
      }
      this.#bases.set(r, slot, 0, 0);
    }
    emit(this.#next, this.telling ? `${label()}${this.#endings(r as 0 | 1, node, input)}` : '');
  }

  async #learnStep(r: 0 | 1, node: number, input: number): Promise<void> {
    const automaton = this.replicas[r];
    await automaton.learn(node, input);
    const { to, output } = learned(automaton.edge(node, input));
    this.#checkLoaders(automaton.inputs.get(input), output);
    const ended = output.ended.map(({ slot, failed, hit }) => ({
      slot,
      failed,
      shown: hit === undefined || hit.shows === 'own' ? undefined : this.#truth.shown(hit.value),
    }));
    (this.#steps[r][node] ??= [])[input] = { to, ended };
  }

  #endings(r: 0 | 1, node: number, input: number): string {
    const { ended } = learned(this.replicas[r].edge(node, input)).output;
    return ended.length === 0 ? '' : ` => ${JSON.stringify(ended)}`;
  }

  #checkShown(r: number, slot: number, content: number): void {
    const i1 = this.#bases.of(r, slot, 'i1');
    const i4 = this.#bases.of(r, slot, 'i4');
    if (!this.#truth.covers(content, i1)) {
      this.broken ??= { invariant: 'I1', detail: `${name(r)} showed ${content} after it had shown ${i1}` };
    }
    if (!this.#truth.covers(content, i4)) {
      this.broken ??= { invariant: 'I4', detail: `${name(r)} showed ${content} after its commit ${i4}` };
    }
    this.#bases.raise(r, 'shown', content);
  }

  #checkLoaders(input: ReplicaInput, { loaders }: ReplicaOutput): void {
    const reply = input.do === 'reply' ? input.reply : undefined;
    const allowed = reply?.of === 'failed' || (reply?.of === 'lease' && reply.reply.kind === 'leased') ? 1 : 0;
    if (loaders > allowed) {
      this.broken ??= { invariant: 'I6', detail: `${loaders} loaders began after ${JSON.stringify(input)}` };
    }
  }

  #copy(state: State): void {
    // Faster than set(), for so few.
    for (let part = 0; part < WIDTH; part++) {
      this.#next[part] = at(state, part);
    }
  }
}

/** Told of each next state. */
type Emit = (next: State, label: string) => void;

function tokenOf(r: number, slot: number, again: number): string {
  return `${name(r)}${slot}${"'".repeat(again)}`;
}

function learned<T>(found: T | undefined): T {
  if (found === undefined) {
    throw new Error('What was found out is known.');
  }
  return found;
}

function name(r: number): string {
  return r === 0 ? 'a' : 'b';
}

function text(version: EntryVersion | null): string {
  return version === null ? '-' : `${version.epoch}.${version.version}`;
}

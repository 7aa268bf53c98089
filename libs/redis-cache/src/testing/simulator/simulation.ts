import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import type { CacheHit, LoadContext, Loaded } from '../../cache/cache-hit.js';
import { MemoryInvalidationBus } from '../../embedded/memory.bus.js';
import { MemoryCacheStore } from '../../embedded/memory.store.js';
import { NamespaceNames } from '../../namespace/names.js';
import { CacheClosedError, CacheStoreUnavailableError } from '../../redis-cache.errors.js';
import type { StoredEntry } from '../../store/cache.store.js';
import { ModelDatabase, stampOf } from './model.database.js';
import { ObservedServer } from './observed.server.js';
import { SimulatedBus } from './simulated.bus.js';
import { SIMULATED_NAMESPACE, SimulatedReplica } from './simulated.replica.js';
import { SimulatedStore } from './simulated.store.js';
import {
  type Invariant,
  SIMULATION_WEIGHTS,
  type SimulatedValue,
  type SimulationOptions,
  type SimulationResult,
  type SimulationWeights,
  type Violation,
} from './simulation.options.js';
import { settled, StepScheduler } from './step.scheduler.js';

const ACTIONS: readonly (keyof SimulationWeights)[] = [
  'commit',
  'foreignCommit',
  'otherRow',
  'load',
  'read',
  'userSet',
  'evict',
  'expireStore',
  'expireLocal',
  'cutLine',
  'tick',
  'truncate',
  'loseMessage',
  'crash',
];
const KEY = 'row';
class LoaderFailure extends Error {}

function isGivenUp(error: unknown): boolean {
  return CacheStoreUnavailableError.is(error) || CacheClosedError.is(error);
}

/**
 * One random history of several replicas over one store, repeatable by its seed: commits, changes that come late, twice and in any order, loads,
 * reads, late user sets, evictions, expiry and cut lines, with every request, reply and message as a step of its own.
 */
export class Simulation {
  readonly #random: SeededRandom;
  readonly #scheduler: StepScheduler;
  readonly #clock = new VirtualClock();
  readonly #database = new ModelDatabase();
  readonly #server: ObservedServer;
  readonly #replicas: SimulatedReplica[];
  readonly #crashed: SimulatedReplica[] = [];
  readonly #violations: Violation[] = [];
  readonly #running = new Set<Promise<unknown>>();
  readonly #storedKey = new NamespaceNames('sim', SIMULATED_NAMESPACE.name).stored(KEY);
  #commits = 0;
  #reads = 0;
  #staleAnswers = 0;
  #loaderRuns = 0;
  #steps = 0;

  constructor(private readonly options: SimulationOptions) {
    this.#random = new SeededRandom(options.seed);
    this.#scheduler = new StepScheduler(this.#random);
    this.#server = new ObservedServer({ clock: this.#clock, protocol: options.protocol }, (before, after) =>
      this.#checkWrite(before, after),
    );
    this.#replicas = Array.from({ length: options.replicas ?? 2 }, (_, index) => this.#replica(`r${index + 1}`));
  }

  /** Runs the history to its quiet end and says which promises did not hold. */
  async run(): Promise<SimulationResult> {
    await Promise.all(this.#replicas.map((replica) => replica.cache.connect(replica.bus)));
    for (let action = 0; action < (this.options.actions ?? 12); action++) {
      await this.#act();
      for (let steps = this.#random.int(6); steps > 0 && this.#scheduler.waiting; steps--) {
        await this.#step();
      }
    }
    await this.#quiet();
    this.#checkQuiet();
    await this.#checkReadable();
    await Promise.all(this.#replicas.map((replica) => replica.cache.close()));
    return {
      violations: this.#violations,
      history: this.#scheduler.history,
      steps: this.#steps,
      reads: this.#reads,
      staleAnswers: this.#staleAnswers,
      loaderRuns: this.#loaderRuns,
      refusedSets: this.#sum((replica) => replica.cache.stats().refused),
    };
  }

  #replica(name: string): SimulatedReplica {
    const { lostAnswers = 0, duplicates = 0, announcesLoss = true, view } = this.options;
    // Nothing is drawn that cannot happen: a seed tells the same story as long as its options are the same.
    const happens = (share: number): boolean => share > 0 && this.#random.next() < share;
    const fate = () => (happens(lostAnswers) ? (happens(0.5) ? 'answerLost' : 'late') : 'answered');
    const bus = new MemoryInvalidationBus(this.#server);
    return new SimulatedReplica(
      name,
      new SimulatedBus(bus, name, this.#scheduler, announcesLoss, () => happens(duplicates)),
      {
        store: new SimulatedStore(new MemoryCacheStore(this.#server), name, this.#scheduler, fate),
        clock: this.#clock,
        random: this.#random,
        view,
      },
    );
  }

  /** Another one takes its place, and knows nothing of what this one has shown. */
  async #crash(replica: SimulatedReplica): Promise<void> {
    const next = this.#replica(`${replica.name}'`);
    this.#replicas[this.#replicas.indexOf(replica)] = next;
    this.#crashed.push(replica);
    await replica.crash();
    await next.cache.connect(next.bus);
  }

  async #act(): Promise<void> {
    const replica = this.#anyReplica();
    const what = this.#chosen();
    this.#scheduler.note(`-- ${replica.name}: ${what}`);
    switch (what) {
      case 'commit':
      case 'foreignCommit':
        if (this.#commits++ < (this.options.maxCommits ?? 3)) {
          this.#commit(what === 'commit' ? replica : undefined);
        }
        break;
      case 'otherRow':
        this.#database.commitElsewhere();
        break;
      case 'load':
        this.#start(this.#read(replica, () => replica.cache.getOrLoad(KEY, (context) => this.#load(replica, context))));
        break;
      case 'read':
        this.#start(this.#read(replica, () => replica.cache.get(KEY)));
        break;
      case 'userSet':
        this.#start(this.#userSet(replica));
        break;
      case 'evict':
        this.#start(this.#unlessGivenUp(replica.cache.evict(KEY)));
        break;
      case 'expireStore':
        this.#server.expire(this.#storedKey);
        break;
      case 'expireLocal':
        replica.view.expire(KEY);
        break;
      case 'cutLine':
        if (replica.bus.cut) {
          replica.bus.mendLine();
        } else {
          replica.bus.cutLine();
        }
        break;
      case 'tick':
        await this.#clock.advance(50);
        break;
      case 'truncate':
        this.#truncate();
        break;
      case 'loseMessage':
        replica.bus.loseMessage();
        break;
      case 'crash':
        await this.#crash(replica);
        break;
    }
    await settled();
  }

  #commit(writer: SimulatedReplica | undefined): void {
    const commit = this.#database.commit();
    for (let copies = 1 + this.#random.int(2); copies > 0; copies--) {
      this.#start(this.#apply(commit.version, commit.content));
    }
    if (writer !== undefined) {
      this.#start(this.#committed(writer, commit.content));
    }
  }

  #truncate(): void {
    this.#database.truncate();
    for (let copies = 1 + this.#random.int(2); copies > 0; copies--) {
      this.#start(this.#resync());
    }
  }

  async #resync(): Promise<void> {
    await this.#scheduler.gate('the truncate is noticed');
    const { version } = this.#database;
    await this.#scheduler.gate(`the resync from ${version} is delivered`);
    await this.#untilDone(() => this.#anyReplica().cache.sweep(stampOf(version)));
  }

  async #committed(writer: SimulatedReplica, content: number): Promise<void> {
    await this.#scheduler.gate(`${writer.name}: committed(${content}) reads the counter`);
    if (writer.crashed) {
      return;
    }
    const other =
      this.options.committedThrough === 'another' ? this.#replicas.find((one) => one !== writer) : undefined;
    if (await this.#unlessGivenUp((other ?? writer).cache.invalidate(KEY, stampOf(this.#database.version)))) {
      writer.committed = Math.max(writer.committed, content);
      this.#scheduler.note(`${writer.name}: committed(${content}) returned`);
    }
  }

  async #apply(version: number, content: number): Promise<void> {
    await this.#scheduler.gate(`change ${version} is delivered`);
    // It is acknowledged when it was applied, and delivered again until then.
    await this.#untilDone(() => {
      const { cache } = this.#anyReplica();
      return this.options.shape === 'row'
        ? cache.refresh(KEY, { content }, stampOf(version))
        : cache.invalidate(KEY, stampOf(version));
    });
  }

  async #untilDone(call: () => Promise<unknown>): Promise<void> {
    while (!(await this.#unlessGivenUp(call()))) {
      await this.#scheduler.gate('it is tried again');
    }
  }

  /** `false`: the store did not answer, or the replica ended first. */
  async #unlessGivenUp(call: Promise<unknown>): Promise<boolean> {
    try {
      await call;
      return true;
    } catch (error) {
      if (isGivenUp(error)) {
        return false;
      }
      throw error;
    }
  }

  async #userSet(replica: SimulatedReplica): Promise<void> {
    const { content, version } = this.#database;
    await this.#scheduler.gate(`${replica.name}: user set of ${content} at ${version} begins`);
    if (!replica.crashed) {
      await this.#unlessGivenUp(replica.cache.set(KEY, { content }, stampOf(version)));
    }
  }

  async #load(replica: SimulatedReplica, _context: LoadContext): Promise<Loaded<SimulatedValue>> {
    this.#loaderRuns++;
    const database = this.#database;
    await this.#scheduler.gate(`${replica.name}: loader's first statement`);
    const before = { content: database.content, version: database.version };
    await this.#scheduler.gate(
      `${replica.name}: loader's second statement (first saw ${before.content}@${before.version})`,
    );
    if (this.#random.next() < (this.options.failingLoaders ?? 0.1)) {
      throw new LoaderFailure('The loader failed.');
    }
    const stamp = this.options.stamp ?? 'snapshot';
    const content = stamp === 'earlier' ? database.content : before.content;
    const version = stamp === 'later' ? database.version : before.version;
    return { value: { content }, version: stampOf(version) };
  }

  async #read(replica: SimulatedReplica, read: () => Promise<CacheHit<SimulatedValue> | undefined>): Promise<void> {
    const { shown, committed } = replica;
    const flushesBefore = replica.view.counts.flushes;
    const trustedBefore = replica.cache.trusted;
    let hit: CacheHit<SimulatedValue> | undefined;
    try {
      hit = await read();
    } catch (error) {
      if (error instanceof LoaderFailure || isGivenUp(error)) {
        return;
      }
      throw error;
    }
    const content = hit?.value?.content;
    if (hit === undefined || content === undefined) {
      return;
    }
    this.#reads++;
    this.#scheduler.note(
      `${replica.name}: shown ${content}@${hit.version.version} from ${hit.level}${hit.stale ? ', stale' : ''}`,
    );
    if (hit.stale) {
      this.#staleAnswers++;
      return;
    }
    const trusted = trustedBefore && replica.cache.trusted && flushesBefore === replica.view.counts.flushes;
    this.#check('I1', !trusted || content >= shown, `${replica.name} showed ${content} after it had shown ${shown}`);
    this.#check('I4', content >= committed, `${replica.name} showed ${content} after its commit ${committed}`);
    replica.shown = Math.max(replica.shown, content);
  }

  /** Nothing begins any more: what is under way ends, lines are mended, time passes only for those who wait. */
  async #quiet(): Promise<void> {
    for (const replica of this.#replicas.filter(({ bus }) => bus.cut)) {
      replica.bus.mendLine();
    }
    for (let turns = 0; this.#running.size > 0 || this.#scheduler.waiting; turns++) {
      if (turns > 100_000) {
        throw new Error(`The history of seed ${this.options.seed} does not come to rest.`);
      }
      if (this.#scheduler.waiting) {
        await this.#step();
      } else {
        await this.#clock.until(() => this.#scheduler.waiting || this.#running.size === 0);
      }
    }
  }

  #checkWrite(before: StoredEntry | undefined, after: StoredEntry | undefined): void {
    if (before?.kind !== 'value' || after?.kind !== 'value' || before.version.compare(after.version) === 0) {
      return this.#checkContent(after);
    }
    const higher = after.version.compare(before.version) > 0;
    this.#check('I2', higher, `${before.version.version} was replaced by ${after.version.version}`);
    this.#checkContent(after);
  }

  #checkContent(entry: StoredEntry | undefined): void {
    if (entry?.kind === 'value') {
      const least = this.#database.contentAt(Number(entry.version.version));
      const { content } = SIMULATED_NAMESPACE.codec.decode(entry.payload);
      this.#check('I2', content >= least, `content ${content} was stored under the stamp ${entry.version.version}`);
    }
  }

  #checkQuiet(): void {
    const latest = this.#database.content;
    const entry = this.#server.get(this.#storedKey);
    if (entry?.kind === 'value') {
      const { content } = SIMULATED_NAMESPACE.codec.decode(entry.payload);
      this.#check('I3', content === latest, `the store kept ${content}, the latest is ${latest}`);
    }
    for (const replica of this.#replicas) {
      const content = replica.view.inspect(KEY)?.value?.content;
      this.#check(
        'I3',
        content === undefined || content === latest,
        `${replica.name} kept ${content}, the latest is ${latest}`,
      );
    }
    const leases = this.#sum((replica) => replica.cache.stats().leasesAcquired + replica.cache.stats().unstored);
    this.#check('I6', this.#loaderRuns <= leases, `${this.#loaderRuns} loaders ran under ${leases} leases`);
  }

  async #checkReadable(): Promise<void> {
    const latest = this.#database.content;
    for (const replica of this.#replicas) {
      const loaded: Loaded<SimulatedValue> = { value: { content: latest }, version: stampOf(this.#database.version) };
      let content: number | undefined;
      this.#start(
        replica.cache
          .getOrLoad(KEY, async () => loaded)
          .then((hit) => {
            content = hit.value?.content;
          }),
      );
      await this.#quiet();
      this.#check('I5', content === latest, `${replica.name} reads ${content} at quiet, the latest is ${latest}`);
    }
  }

  #check(invariant: Invariant, holds: boolean, detail: string): void {
    if (!holds) {
      this.#scheduler.note(`!! ${invariant}: ${detail}`);
      this.#violations.push({ invariant, detail });
    }
  }

  /** A failure that the model does not foresee ends the history. */
  #start(call: Promise<unknown>): void {
    const running = call
      .catch((error: unknown) => {
        this.#violations.push({
          invariant: 'I5',
          detail: error instanceof Error ? String(error.stack) : String(error),
        });
      })
      .finally(() => {
        this.#running.delete(running);
      });
    this.#running.add(running);
  }

  async #step(): Promise<void> {
    this.#steps++;
    await this.#scheduler.next();
  }

  #chosen(): keyof SimulationWeights {
    const weights: SimulationWeights = { ...SIMULATION_WEIGHTS, ...this.options.weights };
    let left = this.#random.next() * ACTIONS.reduce((sum, action) => sum + weights[action], 0);
    return ACTIONS.find((action) => (left -= weights[action]) < 0) ?? 'load';
  }

  #anyReplica(): SimulatedReplica {
    const replica = this.#replicas[this.#random.int(this.#replicas.length)];
    if (replica === undefined) {
      throw new Error('A simulation needs a replica.');
    }
    return replica;
  }

  #sum(of: (replica: SimulatedReplica) => number): number {
    return [...this.#replicas, ...this.#crashed].reduce((sum, replica) => sum + of(replica), 0);
  }
}

/** Runs one simulated history. */
export function simulate(options: SimulationOptions): Promise<SimulationResult> {
  return new Simulation(options).run();
}

import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import { MemoryInvalidationBus } from '../../embedded/memory.bus.js';
import type { InvalidationMessage } from '../../invalidation/invalidation.bus.js';
import { CacheClosedError, CacheStoreUnavailableError } from '../../redis-cache.errors.js';
import { NumberedMessages } from './numbered-messages.js';
import type { ObservedServer } from './observed.server.js';
import { SimulatedBus } from './simulated.bus.js';
import { SimulatedLine } from './simulated.line.js';
import type { SimulatedReplica } from './simulated.replica.js';
import {
  type Invariant,
  SIMULATION_WEIGHTS,
  type SimulationOptions,
  type SimulationResult,
  type SimulationWeights,
  type Violation,
} from './simulation.options.js';
import { settled, StepScheduler } from './step.scheduler.js';

type Action = keyof SimulationWeights;

/** What may begin that is not the same for every history. */
export type OwnAction = Exclude<
  Action,
  'commit' | 'foreignCommit' | 'expireLocal' | 'cutLine' | 'tick' | 'loseMessage' | 'crash'
>;

/** In this order: a seed tells the same story as long as nothing is put in between. */
const ACTIONS: readonly Action[] = [
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
const TICK_MS = 50;

/** The failure of a loader that is to fail. */
export class LoaderFailure extends Error {}

/** The lines of one replica. */
export interface ReplicaLines {
  readonly line: SimulatedLine;
  readonly bus: SimulatedBus;
}

/**
 * One random history of several replicas over one store, repeatable by its seed: things begin, and every request, reply and message is a step of its own that chance lets
 * happen. What is cached, and what that promises, is the business of those who extend it.
 */
export abstract class History<R extends SimulatedReplica> {
  protected readonly random: SeededRandom;
  protected readonly scheduler: StepScheduler;
  protected readonly clock = new VirtualClock();
  protected readonly replicas: R[] = [];
  protected abstract readonly server: ObservedServer;
  protected reads = 0;
  protected staleAnswers = 0;
  protected loaderRuns = 0;
  protected impatient = 0;
  readonly #crashed: R[] = [];
  readonly #violations: Violation[] = [];
  readonly #running = new Set<Promise<unknown>>();
  readonly #numbers = new NumberedMessages();
  #commits = 0;
  #steps = 0;

  constructor(protected readonly options: SimulationOptions) {
    this.random = new SeededRandom(options.seed);
    this.scheduler = new StepScheduler(this.random);
  }

  /** Runs the history to its quiet end and says which promises did not hold. */
  async run(): Promise<SimulationResult> {
    for (let index = 0; index < (this.options.replicas ?? 2); index++) {
      this.replicas.push(this.#replica(`r${index + 1}`));
    }
    await Promise.all(this.replicas.map((replica) => replica.cache.connect(replica.bus)));
    for (let action = 0; action < (this.options.actions ?? 12); action++) {
      await this.#act();
      for (let steps = this.random.int(6); steps > 0 && this.scheduler.waiting; steps--) {
        await this.#step();
      }
    }
    await this.quiet();
    await this.checkQuiet();
    const leases = this.#sum(({ cache }) => cache.stats().leasesAcquired + cache.stats().unstored);
    this.check('I6', this.loaderRuns <= leases, `${this.loaderRuns} loaders ran under ${leases} leases`);
    for (const replica of this.replicas) {
      await this.checkReadable(replica);
    }
    await Promise.all(this.replicas.map((replica) => replica.cache.close()));
    return {
      violations: this.#violations,
      history: this.scheduler.history,
      steps: this.#steps,
      reads: this.reads,
      staleAnswers: this.staleAnswers,
      loaderRuns: this.loaderRuns,
      impatient: this.impatient,
      refusedSets: this.#sum((replica) => replica.cache.stats().refused),
      earlyRefreshes: this.#sum((replica) => replica.cache.stats().earlyRefreshes),
      failSafes: this.#sum((replica) => replica.cache.stats().failSafes),
      negativeHits: this.#sum((replica) => replica.cache.stats().negativeHits),
    };
  }

  protected abstract replica(name: string, lines: ReplicaLines): R;
  protected abstract begin(what: OwnAction, replica: R): void | Promise<void>;
  /** Somebody changes the source: a replica, or somebody else. */
  protected abstract commit(writer: R | undefined): void;
  /** The first level of this replica forgets. */
  protected abstract forget(replica: R): void;
  /** Of what is kept at rest. */
  protected abstract checkQuiet(): void | Promise<void>;
  /** At rest, a reader gets the latest. */
  protected abstract checkReadable(replica: R): Promise<void>;

  /** A replica hears this now. */
  protected hear(_replica: string, _message: InvalidationMessage): void {}

  /** Nothing is drawn that cannot happen: a seed tells the same story as long as its options are the same. */
  protected happens(share: number): boolean {
    return share > 0 && this.random.next() < share;
  }

  protected check(invariant: Invariant, holds: boolean, detail: string): void {
    if (!holds) {
      this.scheduler.note(`!! ${invariant}: ${detail}`);
      this.#violations.push({ invariant, detail });
    }
  }

  /** A failure that the model does not foresee ends the history. */
  protected start(call: Promise<unknown>): void {
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

  /** Nothing begins any more: what is under way ends, lines are mended, time passes only for those who wait. */
  protected async quiet(): Promise<void> {
    for (const replica of this.replicas.filter(({ bus }) => bus.cut)) {
      replica.bus.mendLine();
    }
    for (let turns = 0; this.#running.size > 0 || this.scheduler.waiting; turns++) {
      if (turns > 100_000) {
        throw new Error(`The history of seed ${this.options.seed} does not come to rest.`);
      }
      if (this.scheduler.waiting) {
        await this.#step();
      } else {
        await this.clock.until(() => this.scheduler.waiting || this.#running.size === 0);
      }
    }
  }

  protected async untilDone(call: () => Promise<unknown>): Promise<void> {
    while (!(await this.unlessGivenUp(call()))) {
      await this.scheduler.gate('it is tried again');
    }
  }

  /** `false`: the store did not answer, or the replica ended first. */
  protected async unlessGivenUp(call: Promise<unknown>): Promise<boolean> {
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

  /** What a reader is shown; nothing: it failed as it may. */
  protected async shown<H>(read: () => Promise<H | undefined>): Promise<H | undefined> {
    try {
      return await read();
    } catch (error) {
      if (error instanceof LoaderFailure || isGivenUp(error)) {
        return undefined;
      }
      throw error;
    }
  }

  /** Two statements of a loader, which may fail: what the first one has seen, then what the second one does. */
  protected async statements<S>(replica: R, first: () => S, text: (seen: S) => string): Promise<S> {
    this.loaderRuns++;
    await this.scheduler.gate(`${replica.name}: loader's first statement`);
    const seen = first();
    await this.scheduler.gate(`${replica.name}: loader's second statement (first saw ${text(seen)})`);
    if (this.random.next() < (this.options.failingLoaders ?? 0.1)) {
      throw new LoaderFailure('The loader failed.');
    }
    return seen;
  }

  protected anyReplica(): R {
    const replica = this.replicas[this.random.int(this.replicas.length)];
    if (replica === undefined) {
      throw new Error('A simulation needs a replica.');
    }
    return replica;
  }

  /** Whether what was shown before binds a read that began then: nothing has happened to its trust meanwhile. */
  protected watchTrust({ cache, view }: R): () => boolean {
    const flushes = view.counts.flushes;
    const trusted = cache.trusted;
    return () => trusted && cache.trusted && flushes === view.counts.flushes;
  }

  async #act(): Promise<void> {
    const replica = this.anyReplica();
    const what = this.#chosen();
    this.scheduler.note(`-- ${replica.name}: ${what}`);
    switch (what) {
      case 'commit':
      case 'foreignCommit':
        if (this.#commits++ < (this.options.maxCommits ?? 3)) {
          this.commit(what === 'commit' ? replica : undefined);
        }
        break;
      case 'expireLocal':
        this.forget(replica);
        break;
      case 'cutLine':
        if (replica.bus.cut) {
          replica.bus.mendLine();
        } else {
          replica.bus.cutLine();
        }
        break;
      case 'tick':
        await this.clock.advance(this.options.tickMs ?? TICK_MS);
        break;
      case 'loseMessage':
        replica.bus.loseMessage();
        break;
      case 'crash':
        await this.#crash(replica);
        break;
      case 'otherRow':
      case 'load':
      case 'read':
      case 'userSet':
      case 'evict':
      case 'expireStore':
      case 'truncate':
        await this.begin(what, replica);
    }
    await settled();
  }

  #replica(name: string): R {
    const { lostAnswers = 0, duplicates = 0, announcesLoss = true } = this.options;
    const fate = () => (this.happens(lostAnswers) ? (this.happens(0.5) ? 'answerLost' : 'late') : 'answered');
    const bus = new SimulatedBus(new MemoryInvalidationBus(this.server), name, this.scheduler, {
      announces: announcesLoss,
      numbers: this.#numbers,
      watch: this.options.watch,
      arrivesTwice: () => this.happens(duplicates),
      onHeard: (message) => this.hear(name, message),
    });
    return this.replica(name, { line: new SimulatedLine(name, this.scheduler, fate), bus });
  }

  /** Another one takes its place, and knows nothing of what this one has shown. */
  async #crash(replica: R): Promise<void> {
    const next = this.#replica(`${replica.name}'`);
    this.replicas[this.replicas.indexOf(replica)] = next;
    this.#crashed.push(replica);
    await replica.crash();
    await next.cache.connect(next.bus);
  }

  async #step(): Promise<void> {
    this.#steps++;
    await this.scheduler.next();
  }

  #chosen(): Action {
    const weights: SimulationWeights = { ...SIMULATION_WEIGHTS, ...this.options.weights };
    let left = this.random.next() * ACTIONS.reduce((sum, action) => sum + weights[action], 0);
    return ACTIONS.find((action) => (left -= weights[action]) < 0) ?? 'load';
  }

  #sum(of: (replica: R) => number): number {
    return [...this.replicas, ...this.#crashed].reduce((sum, replica) => sum + of(replica), 0);
  }
}

function isGivenUp(error: unknown): boolean {
  return CacheStoreUnavailableError.is(error) || CacheClosedError.is(error);
}

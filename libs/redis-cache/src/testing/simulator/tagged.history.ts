import type { CacheHit, LoadContext, Loaded } from '../../cache/cache-hit.js';
import { LocalView } from '../../cache/local-view.js';
import { VersionedCache } from '../../cache/versioned-cache.js';
import { MemoryCacheStore } from '../../embedded/memory.store.js';
import type { InvalidationMessage } from '../../invalidation/invalidation.bus.js';
import { defineCache } from '../../namespace/define-cache.js';
import { NamespaceNames } from '../../namespace/names.js';
import { EntryVersion } from '../../version/entry-version.js';
import { History, type OwnAction, type ReplicaLines } from './history.js';
import { ModelDatabase } from './model.database.js';
import { ObservedServer } from './observed.server.js';
import { ENDLESS, SimulatedReplica } from './simulated.replica.js';
import { SimulatedStore } from './simulated.store.js';
import type { SimulatedValue, SimulationOptions } from './simulation.options.js';

const KEY = 'tagged';
const TAG = 'author:7';
const NAMESPACE = defineCache<SimulatedValue>({
  name: 'values',
  synced: false,
  versioning: 'auto',
  tagged: true,
  ...ENDLESS,
});
const WAYS = ['invalidate', 'invalidateTag', 'clear'] as const;
type Way = (typeof WAYS)[number];

/** One replica of values whose versions the store gives, with what it has shown and promised. */
class TaggedReplica extends SimulatedReplica<VersionedCache<SimulatedValue, 'next'>> {
  /** The newest version that a reader of it was shown. */
  shown = EntryVersion.ZERO;
  /** The least content that a read may show which begins now: of its own invalidations that have returned, and of all that it has heard of. */
  promised = 0;

  constructor(
    name: string,
    { bus }: ReplicaLines,
    cache: VersionedCache<SimulatedValue, 'next'>,
    override readonly view: LocalView<SimulatedValue>,
  ) {
    super(name, bus, cache, view);
  }
}

/**
 * Histories of one value whose versions the store gives: who has changed the source invalidates the key, a tag of it, or everything, late and twice. What a loader has read
 * before that is never shown to whoever asks afterwards.
 */
export class TaggedHistory extends History<TaggedReplica> {
  protected override readonly server: ObservedServer;
  readonly #database = new ModelDatabase();
  readonly #storedKey = new NamespaceNames('sim', NAMESPACE.name).stored(KEY);
  /** What the source held when an invalidation was executed, by what was told of it. */
  readonly #atInvalidation = new Map<string, number>();

  constructor(options: SimulationOptions) {
    super(options);
    const { protocol } = options;
    this.server = new ObservedServer(
      { clock: this.clock, protocol },
      {
        onInvalidated: (key, version) =>
          this.#atInvalidation.set(`${key} ${version.toString()}`, this.#database.content),
      },
    );
  }

  protected override replica(name: string, lines: ReplicaLines): TaggedReplica {
    const view = this.options.view?.(NAMESPACE) ?? new LocalView<SimulatedValue>(NAMESPACE);
    const cache = new VersionedCache<SimulatedValue, 'next'>({
      namespace: NAMESPACE,
      prefix: 'sim',
      nodeId: name,
      store: new SimulatedStore(new MemoryCacheStore(this.server), lines.line),
      clock: this.clock,
      random: this.random,
      view,
    });
    return new TaggedReplica(name, lines, cache, view);
  }

  protected override hear(replica: string, { action, key, version }: InvalidationMessage): void {
    const content = action === 'invalidate' && this.#atInvalidation.get(`${key} ${version?.toString() ?? ''}`);
    const one = this.replicas.find(({ name }) => name === replica);
    if (one !== undefined && typeof content === 'number') {
      one.promised = Math.max(one.promised, content);
    }
  }

  protected override async begin(what: OwnAction, replica: TaggedReplica): Promise<void> {
    const { cache } = replica;
    // Versions come from the clock of the store, which never stands still.
    await this.clock.advance(1);
    switch (what) {
      case 'load':
        this.start(
          this.#read(replica, () =>
            cache.getOrLoad(KEY, (context) => this.#load(replica, context), this.happens(0.5) ? { tags: ['any'] } : {}),
          ),
        );
        break;
      case 'read':
        this.start(this.#read(replica, () => cache.get(KEY)));
        break;
      case 'evict':
        this.start(this.unlessGivenUp(cache.evict(KEY)));
        break;
      case 'expireStore':
        this.server.expire(this.#storedKey);
        break;
      case 'otherRow':
        // Somebody invalidates what has not changed.
        this.start(this.#invalidates(replica, this.#anyWay()));
        break;
      case 'userSet':
      case 'truncate':
        // Who sets without a version is ordered by who came last, not by what it knew; and there are no sweeps.
        break;
    }
  }

  protected override commit(writer: TaggedReplica | undefined): void {
    this.#database.commit();
    const way = this.#anyWay();
    if (writer !== undefined) {
      this.start(this.#invalidates(writer, way));
    }
    for (let copies = writer === undefined || this.happens(0.3) ? 1 + this.random.int(2) : 0; copies > 0; copies--) {
      this.start(this.#told(way));
    }
  }

  protected override forget({ view }: TaggedReplica): void {
    view.expire(KEY);
  }

  /** What is old may be kept, and is not shown. */
  protected override async checkQuiet(): Promise<void> {
    const latest = this.#database.content;
    for (const { name, cache } of this.replicas) {
      let content: number | undefined;
      this.start(
        this.shown(() => cache.get(KEY)).then((hit) => {
          content = hit?.value?.content;
        }),
      );
      await this.quiet();
      this.check(
        'I3',
        content === undefined || content === latest,
        `${name} shows ${content}, the latest is ${latest}`,
      );
    }
  }

  protected override async checkReadable({ name, cache }: TaggedReplica): Promise<void> {
    const latest = this.#database.content;
    let content: number | undefined;
    this.start(
      cache
        .getOrLoad(KEY, async () => ({ value: { content: latest }, version: 'next' }))
        .then((hit) => {
          content = hit.value?.content;
        }),
    );
    await this.quiet();
    this.check('I5', content === latest, `${name} reads ${content} at quiet, the latest is ${latest}`);
  }

  #anyWay(): Way {
    return WAYS[this.random.int(WAYS.length)] ?? 'clear';
  }

  #invalidate({ cache }: TaggedReplica, way: Way): Promise<unknown> {
    if (way === 'invalidate') {
      return cache.invalidate(KEY, 'next');
    }
    return way === 'clear' ? cache.clear() : cache.invalidateTag(TAG);
  }

  async #invalidates(replica: TaggedReplica, way: Way): Promise<void> {
    await this.scheduler.gate(`${replica.name}: ${way} begins`);
    if (replica.crashed) {
      return this.#told(way);
    }
    const { content } = this.#database;
    if (await this.unlessGivenUp(this.#invalidate(replica, way))) {
      replica.promised = Math.max(replica.promised, content);
      this.scheduler.note(`${replica.name}: ${way} after ${content} returned`);
    } else {
      await this.#told(way);
    }
  }

  /** Whoever it is, it is done in the end. */
  async #told(way: Way): Promise<void> {
    await this.scheduler.gate(`${way} is told`);
    await this.untilDone(() => this.#invalidate(this.anyReplica(), way));
  }

  async #load(replica: TaggedReplica, context: LoadContext): Promise<Loaded<SimulatedValue, 'next'>> {
    const tagsBefore = this.options.tags !== 'after';
    if (tagsBefore) {
      await context.tag(TAG);
    }
    const content = await this.statements(
      replica,
      () => this.#database.content,
      (seen) => `${seen}`,
    );
    if (!tagsBefore) {
      await context.tag(TAG);
    }
    return { value: { content }, version: 'next' };
  }

  async #read(replica: TaggedReplica, read: () => Promise<CacheHit<SimulatedValue> | undefined>): Promise<void> {
    const { name, shown, promised } = replica;
    const bound = this.watchTrust(replica);
    const hit = await this.shown(read);
    if (hit?.value === undefined) {
      return;
    }
    const { content } = hit.value;
    const version = hit.version.toString();
    this.reads++;
    this.scheduler.note(`${name}: shown ${content}@${version} from ${hit.level}${hit.stale ? ', stale' : ''}`);
    if (hit.stale) {
      this.staleAnswers++;
      return;
    }
    // What could not be stored was given no version.
    const goesBack = hit.version.compare(shown) < 0 && hit.version.compare(EntryVersion.ZERO) !== 0;
    this.check('I1', !bound() || !goesBack, `${name} showed ${version} after it had shown ${shown.toString()}`);
    this.check('I4', content >= promised, `${name} showed ${content} after it was told of ${promised}`);
    replica.shown = EntryVersion.max(replica.shown, hit.version);
  }
}

import type { CacheHit, Loaded } from '../../cache/cache-hit.js';
import { MemoryCacheStore } from '../../embedded/memory.store.js';
import { type CacheNamespace, defineCache } from '../../namespace/define-cache.js';
import { NamespaceNames } from '../../namespace/names.js';
import type { StoredEntry } from '../../store/cache.store.js';
import { History, type OwnAction, type ReplicaLines } from './history.js';
import { ModelDatabase, stampOf } from './model.database.js';
import { ObservedServer } from './observed.server.js';
import { ENDLESS, RowReplica } from './simulated.replica.js';
import { SimulatedStore } from './simulated.store.js';
import type { SimulatedValue, SimulationOptions } from './simulation.options.js';

const KEY = 'row';
const KEPT_MS = 24 * 3_600_000;

/** What a loader's first statement has seen. */
interface Seen {
  readonly content: number;
  readonly version: number;
}

/**
 * Histories of one row in a synced namespace: commits, changes that come late, twice and in any order, loads, reads, late user sets, evictions, expiry, truncates; rows that
 * are deleted, values that are loaded anew before their end, and those that are kept beyond it for fail-safe.
 */
export class RowHistory extends History<RowReplica> {
  protected override readonly server: ObservedServer;
  readonly #database = new ModelDatabase();
  readonly #namespace: CacheNamespace<SimulatedValue>;
  readonly #storedKey: string;

  constructor(options: SimulationOptions) {
    super(options);
    const {
      deletes = 0,
      stamp = 'snapshot',
      earlyRefresh = 0,
      failSafe = false,
      staleAfterMs,
      lifeMs,
      protocol,
    } = options;
    if (deletes > 0 && stamp !== 'snapshot') {
      throw new Error('What "no such thing" reflects can be told by its stamp only where both are of one snapshot.');
    }
    this.#namespace = defineCache<SimulatedValue>({
      name: 'model',
      synced: true,
      ...ENDLESS,
      ...(lifeMs === undefined ? {} : { l1TtlMs: lifeMs, l2TtlMs: lifeMs }),
      earlyRefresh,
      failSafeMs: failSafe ? KEPT_MS : 0,
      staleAfterMs,
    });
    this.#storedKey = new NamespaceNames('sim', this.#namespace.name).stored(KEY);
    this.server = new ObservedServer(
      { clock: this.clock, protocol },
      {
        onWrite: (_, before, after) => this.#checkWrite(before, after),
      },
    );
  }

  protected override replica(name: string, { line, bus }: ReplicaLines): RowReplica {
    return RowReplica.create(name, bus, {
      store: new SimulatedStore(new MemoryCacheStore(this.server), line),
      clock: this.clock,
      random: this.random,
      view: this.options.view,
      namespace: this.#namespace,
    });
  }

  protected override begin(what: OwnAction, replica: RowReplica): void {
    const { cache } = replica;
    switch (what) {
      case 'otherRow':
        this.#database.commitElsewhere();
        break;
      case 'load':
        this.start(this.#read(replica, () => cache.getOrLoad(KEY, () => this.#load(replica))));
        break;
      case 'read':
        this.start(this.#read(replica, () => cache.get(KEY)));
        break;
      case 'userSet':
        this.start(this.#userSet(replica));
        break;
      case 'evict':
        this.start(this.unlessGivenUp(cache.evict(KEY)));
        break;
      case 'expireStore':
        this.server.expire(this.#storedKey);
        break;
      case 'truncate':
        this.#truncate();
        break;
    }
  }

  protected override commit(writer: RowReplica | undefined): void {
    const commit = this.#database.commit({ deletes: this.happens(this.options.deletes ?? 0) });
    for (let copies = 1 + this.random.int(2); copies > 0; copies--) {
      this.start(this.#apply(commit.version, commit.content));
    }
    if (writer !== undefined) {
      this.start(this.#committed(writer, commit.content));
    }
  }

  protected override forget({ view }: RowReplica): void {
    view.expire(KEY);
  }

  protected override checkQuiet(): void {
    const latest = this.#database.content;
    const entry = this.server.get(this.#storedKey);
    if (entry?.kind === 'value' || entry?.kind === 'negative') {
      const content = this.#stored(entry);
      this.check('I3', content === latest, `the store kept ${content}, the latest is ${latest}`);
    }
    for (const { name, view } of this.replicas) {
      const kept = view.inspect(KEY);
      const content = kept === undefined ? latest : this.#content(kept.value, kept.version.version);
      this.check('I3', content === latest, `${name} kept ${content}, the latest is ${latest}`);
    }
  }

  protected override async checkReadable({ name, cache }: RowReplica): Promise<void> {
    const latest = this.#database.content;
    const { version } = this.#database;
    let content: number | undefined;
    this.start(
      cache
        .getOrLoad(KEY, async () => ({ value: this.#valueOf(latest), version: stampOf(version) }))
        .then((hit) => {
          content = this.#content(hit.value, hit.version.version);
        }),
    );
    await this.quiet();
    this.check('I5', content === latest, `${name} reads ${content} at quiet, the latest is ${latest}`);
  }

  #valueOf(content: number): SimulatedValue | undefined {
    return this.#database.isDeleted(content) ? undefined : { content };
  }

  /** What a value shows; "no such thing" shows what its stamp reflects. */
  #content(value: SimulatedValue | undefined, version: bigint): number {
    return value?.content ?? this.#database.contentAt(Number(version));
  }

  #stored(entry: Extract<StoredEntry, { kind: 'value' | 'negative' }>): number {
    const value = entry.kind === 'value' ? this.#namespace.codec.decode(entry.payload) : undefined;
    return this.#content(value, entry.version.version);
  }

  #truncate(): void {
    this.#database.truncate();
    for (let copies = 1 + this.random.int(2); copies > 0; copies--) {
      this.start(this.#resync());
    }
  }

  async #resync(): Promise<void> {
    await this.scheduler.gate('the truncate is noticed');
    const { version } = this.#database;
    await this.scheduler.gate(`the resync from ${version} is delivered`);
    await this.untilDone(() => this.anyReplica().cache.sweep(stampOf(version)));
  }

  async #committed(writer: RowReplica, content: number): Promise<void> {
    await this.scheduler.gate(`${writer.name}: committed(${content}) reads the counter`);
    if (writer.crashed) {
      return;
    }
    const other = this.options.committedThrough === 'another' ? this.replicas.find((one) => one !== writer) : undefined;
    if (await this.unlessGivenUp((other ?? writer).cache.invalidate(KEY, stampOf(this.#database.version)))) {
      writer.committed = Math.max(writer.committed, content);
      this.scheduler.note(`${writer.name}: committed(${content}) returned`);
    }
  }

  async #apply(version: number, content: number): Promise<void> {
    await this.scheduler.gate(`change ${version} is delivered`);
    const value = this.#valueOf(content);
    // It is acknowledged when it was applied, and delivered again until then.
    await this.untilDone(() => {
      const { cache } = this.anyReplica();
      return this.options.shape === 'row' && value !== undefined
        ? cache.refresh(KEY, value, stampOf(version))
        : cache.invalidate(KEY, stampOf(version));
    });
  }

  async #userSet(replica: RowReplica): Promise<void> {
    const { content, version } = this.#database;
    await this.scheduler.gate(`${replica.name}: user set of ${content} at ${version} begins`);
    if (!replica.crashed) {
      await this.unlessGivenUp(replica.cache.set(KEY, this.#valueOf(content), stampOf(version)));
    }
  }

  async #load(replica: RowReplica): Promise<Loaded<SimulatedValue>> {
    const now = (): Seen => ({ content: this.#database.content, version: this.#database.version });
    const before = await this.statements(replica, now, ({ content, version }) => `${content}@${version}`);
    const stamp = this.options.stamp ?? 'snapshot';
    const content = stamp === 'earlier' ? this.#database.content : before.content;
    const version = stamp === 'later' ? this.#database.version : before.version;
    return { value: this.#valueOf(content), version: stampOf(version) };
  }

  async #read(replica: RowReplica, read: () => Promise<CacheHit<SimulatedValue> | undefined>): Promise<void> {
    const { name, shown, committed } = replica;
    const bound = this.watchTrust(replica);
    const hit = await this.shown(read);
    if (hit === undefined) {
      return;
    }
    const content = this.#content(hit.value, hit.version.version);
    this.reads++;
    this.scheduler.note(
      `${name}: shown ${content}@${hit.version.version} from ${hit.level}${hit.stale ? ', stale' : ''}`,
    );
    const impatient =
      this.#namespace.staleAfterMs > 0 && hit.stale && hit.level !== 'source' && hit.failure === undefined;
    this.impatient += impatient ? 1 : 0;
    if (hit.failure !== undefined || impatient) {
      this.check('I7', content >= committed, `${name} fell back on ${content} after its commit ${committed}`);
    }
    if (hit.stale) {
      this.staleAnswers++;
      return;
    }
    this.check('I1', !bound() || content >= shown, `${name} showed ${content} after it had shown ${shown}`);
    this.check('I4', content >= committed, `${name} showed ${content} after its commit ${committed}`);
    replica.shown = Math.max(replica.shown, content);
  }

  #checkWrite(before: StoredEntry | undefined, after: StoredEntry | undefined): void {
    if (after?.kind !== 'value' && after?.kind !== 'negative') {
      return;
    }
    if ((before?.kind === 'value' || before?.kind === 'negative') && before.version.compare(after.version) !== 0) {
      const higher = after.version.compare(before.version) > 0;
      this.check('I2', higher, `${before.version.version} was replaced by ${after.version.version}`);
    }
    const least = this.#database.contentAt(Number(after.version.version));
    const content = this.#stored(after);
    this.check('I2', content >= least, `content ${content} was stored under the stamp ${after.version.version}`);
    const isThere = after.kind === 'value';
    this.check(
      'I2',
      isThere !== this.#database.isDeleted(content),
      `${after.kind} was stored for content ${content}, which is ${isThere ? 'none' : 'one'}`,
    );
  }
}

import { LocalView } from '../../cache/local-view.js';
import type { VersionedCache } from '../../cache/versioned-cache.js';
import { MemoryFieldsStore } from '../../embedded/fields/memory.fields-store.js';
import type { CacheFields, LoadedFields } from '../../fields/cache-fields.js';
import { hashCodec } from '../../fields/hash.codec.js';
import { VersionedFieldsCache } from '../../fields/versioned-fields-cache.js';
import { defineFieldsCache } from '../../namespace/define-fields-cache.js';
import { NamespaceNames } from '../../namespace/names.js';
import { EntryVersion } from '../../version/entry-version.js';
import { History, type OwnAction, type ReplicaLines } from './history.js';
import { ModelDatabase, stampOf } from './model.database.js';
import { ObservedServer } from './observed.server.js';
import { SimulatedFieldsStore } from './simulated.fields-store.js';
import { ENDLESS, SimulatedReplica } from './simulated.replica.js';
import type { SimulatedValue, SimulationOptions } from './simulation.options.js';

const KEY = 'hash';
const ROWS = ['a', 'b'] as const;
type Row = (typeof ROWS)[number];
type Fields = CacheFields<SimulatedValue>;

const NAMESPACE = defineFieldsCache<SimulatedValue>({ name: 'hashes', synced: true, ...ENDLESS });
const CODEC = hashCodec(NAMESPACE);

/** What a reader was shown of a row. */
interface ShownRow {
  readonly content: number;
  readonly version: EntryVersion;
}

/** One replica of hashes, with what it has shown and promised of each row. */
class FieldsReplica extends SimulatedReplica<VersionedCache<Fields>> {
  shown: Readonly<Partial<Record<Row, ShownRow>>> = {};
  committed: Readonly<Record<Row, number>> = { a: 0, b: 0 };

  constructor(
    name: string,
    { bus }: ReplicaLines,
    readonly fields: VersionedFieldsCache<SimulatedValue>,
    override readonly view: LocalView<Fields>,
  ) {
    super(name, bus, fields.whole, view);
  }
}

/** The rows of one hash: their versions come from one counter, so that a commit of one moves that of the other. */
class ModelTable {
  readonly #rows: Readonly<Record<Row, ModelDatabase>> = { a: new ModelDatabase(), b: new ModelDatabase() };

  get version(): number {
    return this.#rows.a.version;
  }

  commit(row: Row): { readonly version: number; readonly content: number } {
    this.#rows[row === 'a' ? 'b' : 'a'].commitElsewhere();
    return this.#rows[row].commit();
  }

  commitElsewhere(): void {
    ROWS.forEach((row) => this.#rows[row].commitElsewhere());
  }

  content(row: Row): number {
    return this.#rows[row].content;
  }

  contentAt(row: Row, version: number): number {
    return this.#rows[row].contentAt(version);
  }
}

/**
 * Histories of one hash in a synced namespace, each of whose two rows is committed by itself: changes write fields, late, twice and in any order; readers read all of it, or
 * some fields. What is promised of a value is promised of each field.
 */
export class FieldsHistory extends History<FieldsReplica> {
  protected override readonly server: ObservedServer;
  readonly #table = new ModelTable();
  readonly #storedKey = new NamespaceNames('sim', NAMESPACE.name, 'f').stored(KEY);
  /** What stood in the store after the latest request. */
  #stood: Fields | undefined;

  constructor(options: SimulationOptions) {
    super(options);
    const { fieldsProtocol } = options;
    this.server = new ObservedServer({ clock: this.clock, fieldsProtocol });
  }

  protected override replica(name: string, lines: ReplicaLines): FieldsReplica {
    const view = new LocalView<Fields>(NAMESPACE);
    const cache = new VersionedFieldsCache<SimulatedValue>({
      namespace: NAMESPACE,
      prefix: 'sim',
      nodeId: name,
      store: new SimulatedFieldsStore(new MemoryFieldsStore(this.server), lines.line),
      clock: this.clock,
      random: this.random,
      view,
    });
    return new FieldsReplica(name, lines, cache, view);
  }

  protected override begin(what: OwnAction, replica: FieldsReplica): void {
    const { fields } = replica;
    this.#watchStore();
    switch (what) {
      case 'otherRow':
        this.#table.commitElsewhere();
        break;
      case 'load':
        this.start(
          this.#read(replica, async () => {
            const { value, stale } = await fields.getOrLoad(KEY, () => this.#load(replica));
            return { fields: value, stale };
          }),
        );
        break;
      case 'read':
        this.start(
          this.happens(0.5)
            ? this.#read(replica, () => fields.getFields(KEY, ROWS))
            : this.#read(replica, async () => {
                const hit = await fields.get(KEY);
                return hit && { fields: hit.value, stale: hit.stale };
              }),
        );
        break;
      case 'userSet':
        this.start(this.#userSet(replica));
        break;
      case 'evict':
        this.start(this.unlessGivenUp(replica.cache.evict(KEY)));
        break;
      case 'expireStore':
        this.server.expire(this.#storedKey);
        this.#stood = undefined;
        break;
      case 'truncate':
        // Sweeps are those of values.
        break;
    }
  }

  protected override commit(writer: FieldsReplica | undefined): void {
    const row = this.happens(0.5) ? 'a' : 'b';
    const { version, content } = this.#table.commit(row);
    for (let copies = 1 + this.random.int(2); copies > 0; copies--) {
      this.start(this.#apply(row, version, content));
    }
    if (writer !== undefined) {
      this.start(this.#committed(writer, row, content));
    }
  }

  protected override forget({ view }: FieldsReplica): void {
    view.expire(KEY);
  }

  protected override checkQuiet(): void {
    this.#watchStore();
    this.#checkLatest('the store', this.#stored());
    this.replicas.forEach(({ name, view }) => this.#checkLatest(name, view.inspect(KEY)?.value));
  }

  protected override async checkReadable(replica: FieldsReplica): Promise<void> {
    let read: Fields | undefined;
    this.start(
      replica.fields
        .getOrLoad(KEY, async () => this.#loaded())
        .then(({ value }) => {
          read = value;
        }),
    );
    await this.quiet();
    for (const row of ROWS) {
      const content = read?.[row]?.value.content;
      const latest = this.#table.content(row);
      this.check(
        'I5',
        content === latest,
        `${replica.name} reads ${row} = ${content} at quiet, the latest is ${latest}`,
      );
    }
  }

  #stored(): Fields | undefined {
    const entry = this.server.fields.get(this.#storedKey);
    return entry?.kind === 'value' ? CODEC.decode(entry.payload) : undefined;
  }

  #checkLatest(who: string, fields: Fields | undefined): void {
    if (fields === undefined) {
      return;
    }
    for (const row of ROWS) {
      const content = fields[row]?.value.content;
      const latest = this.#table.content(row);
      this.check('I3', content === latest, `${who} kept ${row} = ${content}, the latest is ${latest}`);
    }
  }

  /** Between two looks a field may only have gone up; and no content is below its stamp. */
  #watchStore(): void {
    const before = this.#stood;
    const after = this.#stored();
    this.#stood = after;
    for (const row of ROWS) {
      const [was, is] = [before?.[row], after?.[row]];
      if (is !== undefined) {
        const least = this.#table.contentAt(row, Number(is.version.version));
        const { content } = is.value;
        this.check('I2', content >= least, `${row} = ${content} was stored under the stamp ${is.version.version}`);
        this.check(
          'I2',
          was === undefined || is.version.compare(was.version) >= 0,
          `${row}@${was?.version.version} was replaced by ${is.version.version}`,
        );
      }
    }
  }

  async #committed(writer: FieldsReplica, row: Row, content: number): Promise<void> {
    await this.scheduler.gate(`${writer.name}: committed(${row} = ${content}) reads the counter`);
    if (writer.crashed) {
      return;
    }
    if (await this.unlessGivenUp(writer.cache.invalidate(KEY, stampOf(this.#table.version)))) {
      writer.committed = { ...writer.committed, [row]: Math.max(writer.committed[row], content) };
      this.scheduler.note(`${writer.name}: committed(${row} = ${content}) returned`);
    }
  }

  async #apply(row: Row, version: number, content: number): Promise<void> {
    await this.scheduler.gate(`change ${version} of ${row} is delivered`);
    await this.untilDone(() =>
      this.anyReplica().fields.setFields(KEY, { [row]: { value: { content }, version: stampOf(version) } }),
    );
    this.#watchStore();
  }

  /** What it held earlier of the whole, without a lease. */
  async #userSet(replica: FieldsReplica): Promise<void> {
    const { value, version } = this.#loaded();
    await this.scheduler.gate(`${replica.name}: user set of the whole at ${version.version} begins`);
    if (!replica.crashed) {
      const stamped = Object.fromEntries(ROWS.map((row) => [row, { value: value[row], version }]));
      await this.unlessGivenUp(replica.cache.set(KEY, stamped, version));
    }
  }

  async #load(replica: FieldsReplica): Promise<LoadedFields<SimulatedValue>> {
    return await this.statements(
      replica,
      () => this.#loaded(),
      ({ version }) => `all@${version.version}`,
    );
  }

  #loaded(): { readonly value: Readonly<Record<Row, SimulatedValue>>; readonly version: EntryVersion } {
    const value = { a: { content: this.#table.content('a') }, b: { content: this.#table.content('b') } };
    return { value, version: stampOf(this.#table.version) };
  }

  async #read(
    replica: FieldsReplica,
    read: () => Promise<{ readonly fields: Fields | undefined; readonly stale: boolean } | undefined>,
  ): Promise<void> {
    const { name, shown, committed } = replica;
    const bound = this.watchTrust(replica);
    const hit = await this.shown(read);
    if (hit?.fields === undefined) {
      return;
    }
    this.reads++;
    this.scheduler.note(
      `${name}: shown ${ROWS.map((row) => `${row} = ${hit.fields?.[row]?.value.content}@${hit.fields?.[row]?.version.version}`).join()}${hit.stale ? ', stale' : ''}`,
    );
    if (hit.stale) {
      this.staleAnswers++;
      return;
    }
    for (const row of ROWS) {
      const field = hit.fields[row];
      const content = field?.value.content ?? 0;
      const before = shown[row];
      const version = field?.version ?? EntryVersion.ZERO;
      this.check(
        'I1',
        !bound() || before === undefined || (content >= before.content && version.compare(before.version) >= 0),
        `${name} showed ${row} = ${content}@${version.version} after ${before?.content}@${before?.version.version}`,
      );
      this.check(
        'I4',
        content >= committed[row],
        `${name} showed ${row} = ${content} after its commit ${committed[row]}`,
      );
      const known = replica.shown[row];
      const newest = known === undefined || content >= known.content ? { content, version } : known;
      replica.shown = { ...replica.shown, [row]: newest };
    }
  }
}

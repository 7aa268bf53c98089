import type { ChangeVersion } from '@smartpulse/cdc';
import type { SyncRead } from '@smartpulse/data-sync';
import type { History } from './history.js';
import type { Instant, Look, Subject, Truth } from './subjects/subject.js';
import { type HistoryTable, KEYS } from './subjects/tables.js';
import { valueIn } from './view.js';

/** What a load read: every key, `null` where there is no row. */
export type Values = ReadonlyMap<number, number | null>;

interface Loaded {
  /** Of the moment at which the work began, after the stamp was read. */
  readonly instant: Instant | undefined;
  readonly values: Values;
}

/** Readers as a cache's loaders are: one of them reads a whole table with its stamp, while writers go on. */
export class Readers {
  readonly #history: History;
  readonly #subject: Subject;
  #known: ChangeVersion | undefined;
  #restores = 0;

  constructor(history: History, subject: Subject) {
    this.#history = history;
    this.#subject = subject;
  }

  async read(table: HistoryTable): Promise<void> {
    const history = this.#history;
    const subject = this.#subject;
    const kept = history.broker.of(table.name);
    const loadings = kept.views.map((view) => [view, view.begin()] as const);
    const least = this.#restores === subject.restores ? this.#known : undefined;
    const before = upheavals(subject, table);
    const read = await this.#load(table);
    if (read === undefined) {
      return;
    }
    const { epoch, version } = read.version;
    const stamp = { epoch, version };
    const { instant, values } = read.value;
    const truth = await subject.truth(table);
    if (before !== upheavals(subject, table) || subject.isSetBack) {
      return;
    }
    history.note('stamped reads');
    const wrong =
      tooOld(stamp, values, truth) ??
      (subject.isolation === 'snapshot' ? tooNew(stamp, values, table, instant) : undefined) ??
      (least !== undefined && least.epoch === epoch && version < least.version
        ? `it is below ${least.version}, which was there before`
        : undefined);
    if (wrong !== undefined) {
      history.witnessOf(table.name).tell('a stamp tells what its value has', `of stamp ${epoch}/${version}: ${wrong}`);
    }
    this.#known = { epoch: truth.epoch, version: truth.version };
    this.#restores = subject.restores;
    loadings.forEach(([view, loading]) => view.loaded(loading, stamp, values));
    history.looked(table);
  }

  async #load(table: HistoryTable): Promise<SyncRead<Loaded> | undefined> {
    const history = this.#history;
    try {
      return await this.#subject.read(async (look: Look): Promise<Loaded> => {
        const instant = await look.instant?.(table);
        await history.between();
        if (history.strikes(0.3)) {
          await look.pause(history.random.int(200));
        }
        return { instant, values: allOf(await look.values(table)) };
      });
    } catch (error) {
      history.note(`stamped reads that failed: ${error instanceof Error ? error.name : 'no error'}`);
      return undefined;
    }
  }
}

/** A value that its stamp claims to be newer than it is: the stamp is of a commit, or of a later one, that the value lacks. */
function tooOld(stamp: ChangeVersion, values: Values, truth: Truth): string | undefined {
  if (truth.epoch !== stamp.epoch || truth.minValidVersion > stamp.version) {
    return undefined;
  }
  for (const [key, value] of values) {
    const changed = truth.log.get(key);
    const now = valueIn(truth.rows.get(key));
    if ((changed === undefined || changed <= stamp.version) && value !== now) {
      return `key ${key} was read as ${value}, and is ${now} since version ${changed}`;
    }
  }
  return undefined;
}

/** A value that is not of its stamp's snapshot. */
function tooNew(
  stamp: ChangeVersion,
  values: Values,
  table: HistoryTable,
  instant: Instant | undefined,
): string | undefined {
  if (instant === undefined) {
    return undefined;
  }
  if (instant.version !== stamp.version || instant.epoch !== stamp.epoch) {
    return instant.isOfTheSnapshot ? `it was read at version ${instant.version}` : undefined;
  }
  for (const [key, then] of allOf(instant.values)) {
    if (values.get(key) !== then) {
      return `key ${key} of ${table.name} was read as ${values.get(key)}, and was ${then}`;
    }
  }
  return undefined;
}

function allOf(values: ReadonlyMap<number, number>): Values {
  return new Map(Array.from({ length: KEYS }, (_, key) => [key, values.get(key) ?? null]));
}

function upheavals({ restores, upheavals: count }: Subject, { name }: HistoryTable): string {
  return `${restores} ${count.get(name) ?? 0}`;
}

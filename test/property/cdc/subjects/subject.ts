import type { Checkpoint, Row, SourceState, StampedReader, TrackerParts } from '@smartpulse/cdc';
import type { SqlServerStatement } from '@smartpulse/cdc/sql-server';
import { type SyncRead, SyncReader } from '@smartpulse/data-sync';
import type { Random } from '@smartpulse/resilience';
import type { VirtualClock } from '@smartpulse/resilience/testing';
import type { Process } from '../process.js';
import { type HistoryTable, oneOf } from './tables.js';

/** A table that nobody follows. */
export const OTHER_TABLE = 'dbo.other';
export const CONSUMER = 'reader';

/** One step of a transaction. A table's values grow: whichever of two values of a key is higher is the later one. */
export type Write =
  | { readonly kind: 'upsert'; readonly table: HistoryTable; readonly key: number; readonly value: number }
  | { readonly kind: 'delete'; readonly table: HistoryTable; readonly key: number }
  /** Another key for a row; nothing when there is no row, or one of that key. */
  | {
      readonly kind: 'rekey';
      readonly table: HistoryTable;
      readonly key: number;
      readonly to: number;
      readonly value: number;
    };

/** A table as it stands, all of one instant. */
export interface Truth {
  readonly epoch: bigint;
  /** Of the database's last commit. */
  readonly version: bigint;
  /** Changes up to here are cleaned up. */
  readonly minValidVersion: bigint;
  readonly rows: ReadonlyMap<number, Row>;
  /** The version of the last change of each key, as far as the database still knows it. */
  readonly log: ReadonlyMap<number, bigint>;
}

/** A table's values by key, and the stamp that they have exactly. */
export interface Instant {
  readonly epoch: bigint;
  readonly version: bigint;
  /** Nobody can have written since the snapshot began. */
  readonly isOfTheSnapshot: boolean;
  readonly values: ReadonlyMap<number, number>;
}

/** What a reader's work does, after the stamp was read. */
export interface Look {
  values(table: HistoryTable): Promise<ReadonlyMap<number, number>>;
  /** Stays where it is for so many milliseconds. */
  pause(ms: number): Promise<void>;
  /** The truth of now, for subjects whose readers read snapshots; read by other means where there are any. */
  instant?(table: HistoryTable): Promise<Instant>;
}

/** What a replica of the trackers works with. */
export interface ReplicaParts extends Pick<TrackerParts, 'source' | 'checkpoints' | 'leadership'> {
  /** When its process ends; one that died is told to the subject instead. */
  readonly close: () => Promise<void>;
}

/** Something that may befall a database. */
export interface Deed {
  readonly name: string;
  /** How often, compared with the others. */
  readonly weight: number;
  readonly strike: () => Promise<void> | void;
}

/** Statements as they go to the server, for subjects that have one. */
export type StatementTwin = (statement: SqlServerStatement) => SqlServerStatement;

/** Another reader in place of a stamped one. */
export type ReaderTwin = <TManager>(reader: StampedReader<TManager>) => StampedReader<TManager>;

/** How a subject is made. */
export interface SubjectOptions {
  /** At least one. */
  readonly tables: readonly HistoryTable[];
  readonly random: Random;
  /** Whether bad things happen now. */
  readonly troubled: () => boolean;
  /** Counts what happened. */
  readonly note: (name: string) => void;
  /** Work that the end of a history waits for. */
  readonly onItsWay: (work: () => Promise<void>) => Promise<void>;
  readonly statementTwin?: StatementTwin | undefined;
  readonly readerTwin?: ReaderTwin | undefined;
}

/** A database with its change capture, in the hands of a history. */
export abstract class Subject {
  /** Of everything but the processes' own view of it. */
  abstract readonly clock: VirtualClock;
  /** What may befall this kind of database, beyond commits. */
  abstract readonly deeds: readonly Deed[];
  /** How long a lease lives without being renewed, in milliseconds; 0 = for ever. */
  abstract readonly leaseTtlMs: number;
  /** Moves whenever leases were touched from outside, so that two holders at once are nobody's fault. */
  leasesTouched = 0;
  /** Moves whenever the database went back to a backup. */
  restores = 0;
  /** Of each table how often its rows went without a change to tell. */
  readonly upheavals = new Map<string, number>();
  /** Of the stamped reader. */
  abstract readonly isolation: StampedReader['isolation'];
  /** Whether trackers, too, have read nothing but snapshots up to now. */
  tracksSnapshots = true;
  protected readonly options: SubjectOptions;

  constructor(options: SubjectOptions) {
    this.options = options;
  }

  /** One transaction. */
  abstract commit(writes: readonly Write[]): Promise<void> | void;
  /** One transaction that does not touch the tables. */
  abstract commitElsewhere(): Promise<void> | void;
  abstract replica(process: Process): ReplicaParts;
  /** A process is dead: its connections are gone. */
  abstract crashed(process: Process): Promise<void> | void;
  /** From here on only what is under way comes to its end. */
  abstract calmDown(): Promise<void> | void;

  /** It went back to a backup and nobody has noticed yet: its positions tell of what it has lost. */
  get isSetBack(): boolean {
    return false;
  }

  /** Whether a look at a table's checkpoint may be worth it: it is asked after every step of time. */
  seemsQuiet(_table: HistoryTable): boolean {
    return true;
  }

  /** Runs work of a `SyncReader` of `@smartpulse/data-sync`. */
  abstract read<T>(work: (look: Look) => Promise<T>): Promise<SyncRead<T>>;
  abstract truth(table: HistoryTable): Promise<Truth>;
  abstract state(table: HistoryTable): Promise<SourceState & { readonly schemaHash: string }>;
  abstract checkpoint(table: HistoryTable): Promise<Checkpoint | undefined>;
  /** The fence that stands beside the checkpoint. */
  abstract fence(table: HistoryTable): Promise<bigint | undefined>;
  /** Whether a key stands at or before the one of a cursor, in the source's order of keys. */
  abstract isWithin(table: HistoryTable, key: number, cursorKey: string): boolean;

  /** Closes everything; answers what is still open, in words. */
  abstract close(): Promise<readonly string[]>;

  protected syncReader<TManager>(reader: StampedReader<TManager>): SyncReader {
    return new SyncReader(this.options.readerTwin?.(reader) ?? reader);
  }

  protected upheave({ name }: HistoryTable): HistoryTable['name'] {
    this.upheavals.set(name, (this.upheavals.get(name) ?? 0) + 1);
    return name;
  }

  /** One of the tables, which something befalls. */
  protected someTable(): HistoryTable {
    return oneOf(this.options.tables, this.options.random);
  }
}

/** The column `value` of rows, by their keys. */
export function valuesByKey(table: HistoryTable, rows: Iterable<Row>): ReadonlyMap<number, number> {
  return new Map([...rows].map((row) => [table.keyOf(row), Number(row['value'])]));
}

/** Rows by their keys. */
export function byKey(table: HistoryTable, rows: Iterable<Row>): ReadonlyMap<number, Row> {
  return new Map([...rows].map((row) => [table.keyOf(row), row]));
}

import { type Random } from '@smartpulse/resilience';
import { type SqlIsolation, type SqlMessage, type SqlValue } from '../../seam.js';
import { type EngineFaults } from '../faults/engine-faults.js';
import { type BatchCache } from './parse/batch-cache.js';
import { type PreparedTexts } from './run/prepared-texts.js';
import { type Database } from '../storage/database.js';
import { type TransactionManager } from '../storage/transaction-manager.js';
import { type Transaction } from '../storage/transaction.js';

/** Which SQL Server it says that it is. */
export interface ServerProduct {
  readonly version: string;
  /** 3 = Enterprise and Developer, 5 = Azure SQL Database, 8 = Managed Instance. */
  readonly engineEdition: number;
}

/** What the server around a session offers. */
export interface ServerContext {
  readonly name: string;
  readonly product: ServerProduct;
  readonly transactions: TransactionManager;
  readonly random: Random;
  readonly databases: () => readonly Database[];
  readonly findDatabase: (name: string) => Database | undefined;
  readonly createDatabase: (name: string) => void;
  /** @throws 911, 3702 */
  readonly dropDatabase: (name: string) => void;
  /** Ends the sessions of a database, but for one. */
  readonly endSessions: (database: string, but: SessionState) => void;
  readonly faults: EngineFaults;
  readonly batches: BatchCache;
  readonly prepared: PreparedTexts;
}

/** Who is connected, and what SET has changed. */
export class SessionState {
  isolation: SqlIsolation = 'read committed';
  xactAbort = false;
  noCount = false;
  /** Milliseconds; -1 = for ever. */
  lockTimeoutMs = -1;
  rowCountLimit = 0n;
  deadlockPriority = 0;
  identityInsert: string | undefined;
  /** The open transaction of BEGIN TRANSACTION. */
  transaction: Transaction | undefined;
  /** `@@TRANCOUNT`. */
  depth = 0;
  lastRowCount = 0n;
  lastError = 0;
  /** What CATCH sees. */
  caught: SqlMessage | undefined;
  lastIdentity: SqlValue = null;

  constructor(
    readonly id: number,
    readonly user: string,
    readonly application: string,
    readonly host: string,
    public database: Database,
    readonly server: ServerContext,
  ) {}

  /** Whether the user is the administrator of the server. */
  get isAdministrator(): boolean {
    return this.user.toLowerCase() === 'sa';
  }

  /** As after sp_reset_connection; the isolation level stays, as since SQL Server 2014. */
  resetSettings(): void {
    this.xactAbort = false;
    this.noCount = false;
    this.lockTimeoutMs = -1;
    this.rowCountLimit = 0n;
    this.deadlockPriority = 0;
    this.identityInsert = undefined;
    this.lastRowCount = 0n;
    this.lastError = 0;
    this.lastIdentity = null;
  }
}

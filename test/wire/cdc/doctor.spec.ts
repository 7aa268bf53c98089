import {
  type Finding,
  type FindingCode,
  examineSqlServer,
  mendSqlServer,
  type SqlServerAnswer,
  SqlServerPool,
  type SqlServerStatement,
  type SqlServerTarget,
} from '@smartpulse/cdc/sql-server';
import { describe, expect, it } from 'vitest';
import { StockServer } from './stock-server.js';

const TABLE = 'dbo.stock';
const CDC = { user: 'cdc', password: 'pass' };
const PLAIN = ['CREATE TABLE dbo.stock (id bigint NOT NULL PRIMARY KEY, level int NOT NULL)'];
type Product = { readonly version: string; readonly engineEdition: number };

/** A database that lacks nothing for the login `cdc`, and then what the test takes away. */
async function withShop(
  work: (shop: StockServer) => Promise<void>,
  options: { readonly product?: Product; readonly tables?: readonly string[] } = {},
): Promise<void> {
  const shop = await StockServer.start({ tables: PLAIN, ...options });
  const admin = shop.pool();
  try {
    const before = await examineSqlServer(admin, [TABLE]);
    await mendSqlServer(admin, before);
    shop.engine.addLogin(CDC.user, CDC.password);
    const { grants } = shop.database;
    (['SELECT', 'VIEW CHANGE TRACKING'] as const).forEach((right) =>
      grants.grant(CDC.user, right, { schema: 'dbo', object: 'stock' }),
    );
    (['SELECT', 'INSERT', 'UPDATE', 'DELETE'] as const).forEach((right) =>
      grants.grant(CDC.user, right, { schema: 'smartpulse' }),
    );
    await work(shop);
  } finally {
    await admin.close();
    await shop.stop();
  }
}

async function examined(
  shop: StockServer,
  options: Parameters<typeof examineSqlServer>[2] & { readonly target?: Partial<SqlServerTarget> } = {},
): Promise<readonly Finding[]> {
  const pool = shop.pool(options.target ?? CDC);
  try {
    return await examineSqlServer(pool, [TABLE], options);
  } finally {
    await pool.close();
  }
}

const sql =
  (...statements: readonly string[]) =>
  async (shop: StockServer): Promise<void> => {
    for (const statement of statements) {
      await shop.app.query(statement);
    }
  };

interface Case {
  readonly code: FindingCode;
  readonly severity: Finding['severity'];
  /** Takes it away. */
  readonly provoke?: (shop: StockServer) => unknown;
  readonly product?: Product;
  readonly masks?: boolean;
  readonly says: RegExp;
  /** What is printed to be run; left out = nothing can be. */
  readonly ddl?: RegExp;
}

const OF_SERVER: readonly Case[] = [
  {
    code: 'versionTooOld',
    severity: 'error',
    product: { version: '12.0.6024.0', engineEdition: 3 },
    says: /version 12\.0\.6024\.0: older than SQL Server 2016/,
  },
  {
    code: 'compatibilityTooLow',
    severity: 'error',
    provoke: (shop) => (shop.database.compatibilityLevel = 80),
    says: /shop is on compatibility level 80/,
    ddl: /^ALTER DATABASE \[shop\] SET COMPATIBILITY_LEVEL = 130;$/,
  },
  {
    code: 'secondaryReplica',
    severity: 'error',
    provoke: (shop) => (shop.database.role = 'readable secondary'),
    says: /read-only here: a secondary replica knows no changes\. .*listener/,
  },
  {
    code: 'trackingOff',
    severity: 'error',
    provoke: sql('ALTER TABLE dbo.stock DISABLE CHANGE_TRACKING', 'ALTER DATABASE shop SET CHANGE_TRACKING = OFF'),
    says: /Change tracking is off in shop\./,
    ddl: /^ALTER DATABASE \[shop\] SET CHANGE_TRACKING = ON \(CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON\);$/,
  },
  {
    code: 'cleanupOff',
    severity: 'warning',
    provoke: sql('ALTER DATABASE shop SET CHANGE_TRACKING (AUTO_CLEANUP = OFF)'),
    says: /not cleaned up/,
    ddl: /^ALTER DATABASE \[shop\] SET CHANGE_TRACKING \(AUTO_CLEANUP = ON\);$/,
  },
  {
    code: 'retentionShort',
    severity: 'warning',
    provoke: sql('ALTER DATABASE shop SET CHANGE_TRACKING (CHANGE_RETENTION = 6 HOURS)'),
    says: /kept for 6 hours only/,
    ddl: /^ALTER DATABASE \[shop\] SET CHANGE_TRACKING \(CHANGE_RETENTION = 7 DAYS\);$/,
  },
  {
    code: 'snapshotsOff',
    severity: 'warning',
    provoke: sql('ALTER DATABASE shop SET ALLOW_SNAPSHOT_ISOLATION OFF'),
    says: /Snapshots are not allowed/,
    ddl: /^ALTER DATABASE \[shop\] SET ALLOW_SNAPSHOT_ISOLATION ON;$/,
  },
  {
    code: 'bookkeepingMissing',
    severity: 'error',
    provoke: (shop) => shop.database.drop('smartpulse.cdc_lease'),
    says: /The schema smartpulse lacks cdc_lease\./,
    ddl: /CREATE TABLE \[smartpulse\]\.\[cdc_lease\]/,
  },
  {
    code: 'bookkeepingOutdated',
    severity: 'error',
    provoke: sql('ALTER TABLE smartpulse.cdc_epoch DROP COLUMN recovery_fork'),
    says: /smartpulse\.cdc_epoch lacks recovery_fork: an earlier version made it\. Add what came since; nothing is read anew/,
    ddl: /ALTER TABLE \[smartpulse\]\.\[cdc_epoch\] ADD recovery_fork uniqueidentifier NULL;$/,
  },
  {
    code: 'bookkeepingNotCreatable',
    severity: 'error',
    provoke: (shop) => shop.database.drop('smartpulse.cdc_lease'),
    says: /cdc may not create schemas and tables in shop\. Let somebody run these statements/,
  },
  {
    code: 'bookkeepingNotWritable',
    severity: 'error',
    provoke: (shop) => shop.database.grants.revoke('cdc', 'UPDATE', { schema: 'smartpulse' }),
    says: /cdc may not write to the schema smartpulse/,
    ddl: /^GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::\[smartpulse\] TO \[cdc\];$/,
  },
];

const OF_TABLE: readonly Case[] = [
  {
    code: 'tableMissing',
    severity: 'error',
    provoke: (shop) => shop.database.drop(TABLE),
    says: /dbo\.stock is not there, or not for cdc to see/,
  },
  {
    code: 'primaryKeyMissing',
    severity: 'error',
    provoke: (shop) => {
      shop.database.drop(TABLE);
      return sql('CREATE TABLE dbo.stock (id bigint NOT NULL, level int NOT NULL)')(shop);
    },
    says: /no primary key.*ADD PRIMARY KEY/,
  },
  {
    code: 'rightsMissing',
    severity: 'error',
    provoke: (shop) => shop.database.grants.revoke('cdc', 'VIEW CHANGE TRACKING', { schema: 'dbo', object: 'stock' }),
    says: /cdc has not the right to VIEW CHANGE TRACKING on dbo\.stock/,
    ddl: /^GRANT VIEW CHANGE TRACKING ON \[dbo\]\.\[stock\] TO \[cdc\];$/,
  },
  {
    code: 'rightsMissing',
    severity: 'error',
    provoke: (shop) => shop.database.grants.revoke('cdc', 'SELECT', { schema: 'dbo', object: 'stock' }),
    says: /cdc has not the right to SELECT on dbo\.stock/,
    ddl: /^GRANT SELECT ON \[dbo\]\.\[stock\] TO \[cdc\];$/,
  },
  {
    code: 'tableNotTracked',
    severity: 'error',
    provoke: (shop) => shop.database.disable(TABLE),
    says: /Changes of dbo\.stock are not tracked/,
    ddl: /^ALTER TABLE \[dbo\]\.\[stock\] ENABLE CHANGE_TRACKING WITH \(TRACK_COLUMNS_UPDATED = ON\);$/,
  },
  {
    code: 'columnsNotTracked',
    severity: 'hint',
    provoke: (shop) => {
      shop.database.disable(TABLE);
      shop.database.enable(TABLE);
    },
    says: /does not tell which columns changed/,
  },
  {
    code: 'columnsNotTracked',
    severity: 'warning',
    masks: true,
    provoke: (shop) => {
      shop.database.disable(TABLE);
      shop.database.enable(TABLE);
    },
    says: /does not tell which columns changed.*read the table anew/,
    ddl: /DISABLE CHANGE_TRACKING;\n.*ENABLE CHANGE_TRACKING WITH \(TRACK_COLUMNS_UPDATED = ON\);$/,
  },
  {
    // The sixteenth anomaly, after those of `anomalies.spec.ts`: nothing to do for a reader, so it is told here alone.
    code: 'cleanupBehind',
    severity: 'warning',
    provoke: (shop) => {
      shop.database.jump(2_000_000n);
      shop.database.stallCleanUp(1_500_000n);
    },
    says: /1500000 versions of dbo\.stock wait for clean-up.*sp_flush_CT_internal_table_on_demand/,
  },
];

describe('the doctor on SQL Server', () => {
  it.each([...OF_SERVER, ...OF_TABLE])('finds $code ($severity), and its DDL mends it', async (one) => {
    await withShop(
      async (shop) => {
        if (one.product === undefined) {
          expect(await examined(shop)).toEqual([]);
        }
        await one.provoke?.(shop);
        const options = { masks: one.masks };
        const findings = await examined(shop, options);
        const found = findings.filter(({ code }) => code === one.code);
        expect(found, JSON.stringify(findings)).toHaveLength(1);
        const [{ severity, problem, remedy, sql: statements } = { severity: '', problem: '', remedy: '', sql: [] }] =
          found;
        expect(severity).toBe(one.severity);
        expect(`${problem} ${remedy}`).toMatch(one.says);
        if (one.ddl === undefined) {
          expect(statements).toEqual([]);
          return;
        }
        expect(statements.join('\n')).toMatch(one.ddl);
        const admin = shop.pool();
        expect((await mendSqlServer(admin, findings)).refused).toEqual([]);
        await admin.close();
        const after = (await examined(shop, options)).map(({ code }) => code);
        expect(after).not.toContain(one.code);
      },
      one.product === undefined ? {} : { product: one.product },
    );
  });

  it('says why it could not ask: nobody there, a login that failed, a database that is not opened', async () => {
    await withShop(async (shop) => {
      const told = async (target: Partial<SqlServerTarget>) => {
        const [finding, ...others] = await examined(shop, { target, subject: 'db.internal/shop' });
        expect(others).toEqual([]);
        return [finding?.code, finding?.problem];
      };
      expect(await told({ ...CDC, password: 'wrong' })).toEqual([
        'loginFailed',
        'db.internal/shop refuses the login (error 18456).',
      ]);
      expect(await told({ ...CDC, database: 'nowhere' })).toEqual([
        'databaseNotOpened',
        'db.internal/shop does not open the database (error 4060).',
      ]);
      await shop.server.goDown();
      expect(await told(CDC)).toEqual(['unreachable', 'db.internal/shop does not answer (ECONNREFUSED).']);
      await shop.server.listenAgain();
    });
  });

  it('finds a column whose values cannot be carried, and takes the versions of Azure for what they are', async () => {
    await withShop(
      async (shop) => {
        const pool = new OddType(shop.pool(CDC));
        const findings = await examineSqlServer(pool, [TABLE]);
        expect(findings).toMatchObject([
          {
            code: 'columnTypeNotCarried',
            severity: 'error',
            problem: expect.stringMatching(/dbo\.stock\.level .*geometry/),
          },
        ]);
        expect(findings[0]?.remedy).toContain('option columns');
        await pool.close();
      },
      { product: { version: '12.0.2000.8', engineEdition: 5 } },
    );
  });

  it('goes on where the server refuses a statement, and says which', async () => {
    await withShop(async (shop) => {
      shop.database.drop('smartpulse.cdc_lease');
      shop.database.allowSnapshotIsolation = false;
      const pool = shop.pool(CDC);
      const { ran, refused } = await mendSqlServer(pool, await examineSqlServer(pool, [TABLE]));
      expect(refused.map(({ failure }) => failure.number)).toEqual([262, 262]);
      expect(refused.every(({ sql: statement }) => !ran.includes(statement))).toBe(true);
      await pool.close();
    });
  });
});

describe('an examination that fails', () => {
  it.each([
    [297, 16, /^It failed: error 297 \(/, /Look the number up/],
    [9002, 17, /^It failed: error 9002 \(/, /Look the number up/],
  ])('is a finding with the number of error %d, and no word of its text', async (number, severity, says, remedy) => {
    await withShop(async (shop) => {
      shop.engine.faults.failWith(number, severity, 'something about row 4711', { matches: /HAS_PERMS_BY_NAME/ });
      const findings = await examined(shop);

      expect(findings.map(({ code, severity: how, sql: ddl }) => [code, how, ddl])).toEqual([
        ['examinationFailed', 'error', []],
      ]);
      expect(findings[0]?.problem).toMatch(says);
      expect(findings[0]?.remedy).toMatch(remedy);
      expect(JSON.stringify(findings)).not.toContain('4711');
    });
  });
});

/** The one thing that the test engine has no columns of. */
class OddType extends SqlServerPool {
  readonly #pool: SqlServerPool;

  constructor(pool: SqlServerPool) {
    super();
    this.#pool = pool;
  }

  override async run(statement: SqlServerStatement): Promise<SqlServerAnswer> {
    const answer = await this.#pool.run(statement);
    return statement.name === 'describeTable'
      ? answer.map((rows) => rows.map((row) => row.map((cell) => (cell === 'int' ? 'geometry' : cell))))
      : answer;
  }

  override close(): Promise<void> {
    return this.#pool.close();
  }
}

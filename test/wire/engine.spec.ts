import { KnownValueEntity, NotificationEntity } from '@smartpulse/notification-service';
import { ForecastEntity, ForecastOutboxEntity } from '@smartpulse/production-forecast';
import { SeededRandom, VirtualClock } from '@smartpulse/resilience/testing';
import sql from 'mssql';
import { DataSource, In, LessThan, LessThanOrEqual } from 'typeorm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type TestDatabase } from '../support/sql-server/engine/direct/test-database.js';
import { SqlServerEngine } from '../support/sql-server/engine/sql-server.engine.js';
import { startTestSqlServer, type TestSqlServer } from '../support/sql-server/start-sql-server.js';
import { connectPool } from './clients.js';

const RULE = 'interval-missing';

let engine: SqlServerEngine;
let shop: TestDatabase;
let server: TestSqlServer;

beforeEach(async () => {
  engine = new SqlServerEngine({ clock: new VirtualClock(), random: new SeededRandom(1) });
  shop = engine.createDatabase('shop');
  shop.allowSnapshotIsolation = true;
  engine.addLogin('reader', 'right');
  shop.grants.addOwner('reader');
  server = await startTestSqlServer({ engine });
});

afterEach(() => server.stop());

describe('TypeORM on the test engine', () => {
  let dataSource: DataSource;

  beforeEach(async () => {
    dataSource = await new DataSource({
      type: 'mssql',
      host: server.host,
      port: server.port,
      username: 'reader',
      password: 'right',
      database: 'shop',
      synchronize: true,
      options: { encrypt: false },
      entities: [NotificationEntity, KnownValueEntity, ForecastEntity, ForecastOutboxEntity],
    }).initialize();
  });

  afterEach(() => dataSource.destroy());

  it('makes the tables of the apps, and finds nothing to change when it looks again', async () => {
    await dataSource.synchronize();
    const log = await dataSource.driver.createSchemaBuilder().log();
    expect(log.upQueries.map(({ query }) => query)).toEqual([]);
  });

  it('saves a notification with its number, finds, counts, updates and deletes', async () => {
    const { manager } = dataSource;
    const draft = {
      rule: 'gap',
      key: 'k',
      stamp: 's',
      title: 't',
      description: 'd',
      createdAt: '2026',
      seenAt: null,
    } as const;
    const added = await manager.save(
      manager.create(NotificationEntity, { ...draft, rule: RULE, status: 'new', delivery: 'pending' }),
    );
    expect(added.id).toBe(1);
    const stored = { rule: RULE, key: 'k', stamp: 's' } as const;
    expect(await manager.existsBy(NotificationEntity, stored)).toBe(true);
    expect(
      await manager.find(NotificationEntity, { where: { id: LessThan(5) }, order: { id: 'DESC' }, take: 3 }),
    ).toHaveLength(1);
    await manager.update(NotificationEntity, { id: LessThanOrEqual(1), status: 'new' }, { status: 'seen' });
    expect(await manager.countBy(NotificationEntity, { status: 'new' })).toBe(0);
    await manager.delete(NotificationEntity, { id: LessThanOrEqual(1) });
    expect(await manager.existsBy(NotificationEntity, stored)).toBe(false);
  });

  it('inserts or replaces many rows by MERGE, and reads them by what its query builder writes', async () => {
    const { manager } = dataSource;
    const rows = Array.from({ length: 100 }, (_, unitNo) => ({
      provider: 'p',
      unitType: 'u',
      unitNo,
      deliveryStart: `2026-${unitNo}`,
      valueHundredths: unitNo,
      stamp: 's',
    }));
    for (const factor of [1, 2]) {
      await manager
        .createQueryBuilder()
        .insert()
        .into(KnownValueEntity)
        .values(rows.map((row) => ({ ...row, valueHundredths: row.valueHundredths * factor })))
        .orUpdate(['valueHundredths', 'stamp'], ['provider', 'unitType', 'unitNo', 'deliveryStart'])
        .updateEntity(false)
        .execute();
    }
    expect(await manager.count(KnownValueEntity)).toBe(100);
    const found = await manager
      .createQueryBuilder(KnownValueEntity, 'known')
      .where('known.provider = :provider', { provider: 'p' })
      .andWhere('known.deliveryStart IN (:...starts)', { starts: ['2026-1', '2026-2'] })
      .getMany();
    expect(new Set(found.map(({ valueHundredths }) => valueHundredths))).toEqual(new Set([2, 4]));
    const fourth = manager.createQueryBuilder(KnownValueEntity, 'known').select('known.unitNo', 'unitNo');
    expect(await fourth.orderBy('known.unitNo').offset(3).limit(1).getRawOne()).toEqual({ unitNo: 3 });
    await manager.delete(KnownValueEntity, { unitNo: In([98, 99]) });
    expect(await manager.maximum(KnownValueEntity, 'unitNo')).toBe(97);
  });

  it('undoes what a nested transaction did, and keeps the rest under one version', async () => {
    shop.track();
    shop.enable('dbo.forecast_outbox');
    const event = { key: null, payload: '{}', createdAt: '2026' };
    await dataSource.transaction(async (outer) => {
      await outer.insert(ForecastOutboxEntity, { ...event, event: 'kept' });
      const nested = outer.transaction(async (inner) => {
        await inner.insert(ForecastOutboxEntity, { ...event, event: 'undone' });
        throw new Error('planned');
      });
      await expect(nested).rejects.toThrow('planned');
      await outer.insert(ForecastOutboxEntity, { ...event, event: 'kept, too' });
    });
    expect((await dataSource.manager.find(ForecastOutboxEntity)).map((one) => one.event)).toEqual([
      'kept',
      'kept, too',
    ]);
    expect(shop.changes('dbo.forecast_outbox', 0n).map(({ version }) => version)).toEqual([1n, 1n]);
  });
});

describe('mssql on the test engine', () => {
  it('reads changes inside of a snapshot transaction of the driver', async () => {
    const pool = await connectPool(server);
    await pool.request().batch(`ALTER DATABASE shop SET CHANGE_TRACKING = ON;
      CREATE TABLE dbo.orders (id bigint NOT NULL PRIMARY KEY, total decimal(18,4) NULL, at datetime2 NULL);
      ALTER TABLE dbo.orders ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON);`);
    await pool
      .request()
      .input('id', sql.BigInt, '9007199254740993')
      .query(`INSERT INTO dbo.orders VALUES (@id, 1.5, SYSUTCDATETIME())`);
    const transaction = pool.transaction();
    await transaction.begin(sql.ISOLATION_LEVEL.SNAPSHOT);
    const read = () =>
      transaction
        .request()
        .query(
          'SELECT ct.id, ct.SYS_CHANGE_OPERATION AS op, o.total FROM CHANGETABLE(CHANGES dbo.orders, 0) AS ct LEFT JOIN dbo.orders AS o ON o.id = ct.id',
        );
    const first = (await read()).recordset as unknown;
    shop.write((tx) => tx.insert('dbo.orders', { id: 1 }));
    expect((await read()).recordset).toEqual(first);
    expect(first).toEqual([{ id: '9007199254740993', op: 'I', total: 1.5 }]);
    await transaction.commit();
    expect((await pool.request().query('SELECT COUNT(*) AS n FROM dbo.orders')).recordset).toEqual([{ n: 2 }]);
    await pool.close();
  });

  it('sees error numbers, and a transaction that the server ended', async () => {
    const pool = await connectPool(server);
    await expect(pool.request().query('SELECT * FROM nothing')).rejects.toMatchObject({ number: 208 });
    await pool.request().batch('CREATE TABLE dbo.t (id int PRIMARY KEY)');
    engine.faults.deadlock({ matches: /^DELETE/ });
    const transaction = pool.transaction();
    await transaction.begin();
    await transaction.request().query('INSERT INTO dbo.t VALUES (1)');
    await expect(transaction.request().query('DELETE FROM dbo.t')).rejects.toMatchObject({ number: 1205 });
    await expect(transaction.commit()).rejects.toMatchObject({ code: 'EABORT' });
    expect(shop.rows('dbo.t')).toEqual([]);
    await pool.close();
  });
});

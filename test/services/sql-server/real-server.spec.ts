import { SystemClock } from '@smartpulse/resilience';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { AppsOnSqlServer } from '../../support/sql-server/suites/apps.js';
import { anomaliesSuite } from '../../support/sql-server/suites/anomalies.js';
import { changeContextSuite } from '../../support/sql-server/suites/change-context.js';
import { contractsSuite } from '../../support/sql-server/suites/contracts.js';
import { dedupeStoreSuite } from '../../support/sql-server/suites/dedupe-store.js';
import { doctorSuite } from '../../support/sql-server/suites/doctor.js';
import { exactValuesSuite } from '../../support/sql-server/suites/exact-values.js';
import { createRealDatabase, type RealDatabase, startRealStock } from './real-database.js';

const url = process.env['MSSQL_URL'];

// Whoever has no SQL Server is not to blame: nothing brings one here, so REQUIRE_SERVICES=1 asks for none.
describe.runIf(url === undefined)('a real SQL Server', () => {
  it.skip('is not there: set MSSQL_URL=mssql://sa:password@host:1433/master?encrypt=true&trustServerCertificate=true, with a login that may create databases', () =>
    undefined);
});

if (url !== undefined) {
  const start = startRealStock.bind(undefined, url);

  // Each case has a database of its own, which it drops.
  contractsSuite({
    start,
    time: () => {
      const clock = new SystemClock();
      return { clock, elapse: (ms) => clock.sleep(ms) };
    },
  });
  exactValuesSuite(start);
  anomaliesSuite(start);
  changeContextSuite(start);
  doctorSuite(start);
  dedupeStoreSuite(start);

  describe('both apps on SQL Server', () => {
    let database: RealDatabase;
    let apps: AppsOnSqlServer;

    beforeAll(async () => {
      database = await createRealDatabase(url);
      apps = await AppsOnSqlServer.start(database.url);
    });
    afterAll(async () => {
      await apps?.close();
      await database?.drop();
    });

    it('are served everything that they do', () => apps.doEverything());
  });
}

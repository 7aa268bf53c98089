import { VirtualClock } from '@smartpulse/resilience/testing';
import { expect } from 'vitest';
import { anomaliesSuite } from '../../support/sql-server/suites/anomalies.js';
import { changeContextSuite } from '../../support/sql-server/suites/change-context.js';
import { contractsSuite } from '../../support/sql-server/suites/contracts.js';
import { dedupeStoreSuite } from '../../support/sql-server/suites/dedupe-store.js';
import { doctorSuite } from '../../support/sql-server/suites/doctor.js';
import { exactValuesSuite } from '../../support/sql-server/suites/exact-values.js';
import { type StartStock } from '../../support/sql-server/suites/stock-database.js';
import { StockServer } from './stock-server.js';

const start: StartStock = (options) => StockServer.start(options);

contractsSuite({
  start,
  cleanUp: async (shop) => (shop instanceof StockServer ? shop.database.cleanUp() : undefined),
  time: () => {
    const clock = new VirtualClock();
    return { clock, elapse: (ms) => clock.advance(ms), assertQuiet: () => expect(clock.pendingTimers).toBe(0) };
  },
});
exactValuesSuite(start);
anomaliesSuite(start);
changeContextSuite(start);
doctorSuite(start);
dedupeStoreSuite(start);

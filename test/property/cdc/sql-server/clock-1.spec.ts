import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { BEFALLS_ALL, expectHappened, playAll, seedsFrom } from './histories.js';
import { SqlServerSubject } from './subjects/sql-server.subject.js';

const HISTORIES = 400;

// Thousands of failures are meant here; their warnings would bury the result.
beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(true));

describe("Replicas of a tracker on SQL Server, where the server's clock is set", () => {
  it(`keep every promise in each of ${HISTORIES} histories of deadlocks, cut connections, leases that two hold at once, clean-up and truncate`, async () => {
    const happened = await playAll(seedsFrom(1, HISTORIES), {
      subject: SqlServerSubject.maker({ goesBack: 'clock' }),
      trouble: 'all',
    });
    expectHappened(happened, [
      ...BEFALLS_ALL,
      'tracking off and on',
      'snapshots allowed or not',
      'writers that hold their locks',
      'connections cut',
      'servers away',
      'clocks of the server set',
      'saves that were fenced off',
      'statements: deadlock',
      'statements: lock timeout',
      'statements: snapshot conflict',
      'statements: too busy',
      'statements: cut before',
      'statements: cut after',
      'statements: slow to arrive',
      'statements: slow to answer',
    ]);
  });
});

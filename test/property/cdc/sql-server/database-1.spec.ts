import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { BEFALLS_ALL, expectHappened, playAll, seedsFrom } from './histories.js';
import { SqlServerSubject } from './subjects/sql-server.subject.js';

const HISTORIES = 500;

// Thousands of failures are meant here; their warnings would bury the result.
beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(true));

describe('Replicas of a tracker on SQL Server, where the database goes back to backups', () => {
  it(`keep every promise in each of ${HISTORIES} histories of deadlocks, cut connections, clean-up, truncate and restore`, async () => {
    const happened = await playAll(seedsFrom(1, HISTORIES), {
      subject: SqlServerSubject.maker({ goesBack: 'database' }),
      trouble: 'all',
    });
    expectHappened(happened, [
      ...BEFALLS_ALL,
      'clean-ups inside a page',
      'tracking off and on',
      'snapshots allowed or not',
      'writers that hold their locks',
      'connections cut',
      'servers away',
      'restores',
      'resyncs: epochChanged',
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

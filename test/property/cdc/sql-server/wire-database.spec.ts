import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { expectHappened, playAll, seedsFrom } from './histories.js';
import { SqlServerSubject } from './subjects/sql-server.subject.js';
import { WireClock, wireLine } from './subjects/wire.line.js';

const HISTORIES = 100;

// Thousands of failures are meant here; their warnings would bury the result.
beforeAll(() => Logger.overrideLogger(false));
afterAll(() => Logger.overrideLogger(true));

describe('Replicas of a tracker on SQL Server, through the real driver and real packets', () => {
  it.each(['database', 'clock'] as const)(
    `keep every promise in each of ${HISTORIES} histories; what goes back is the %s`,
    async (goesBack) => {
      const subject = SqlServerSubject.maker({ goesBack, line: wireLine, clock: () => new WireClock() });
      const happened = await playAll(seedsFrom(1, HISTORIES), { subject, trouble: 'all' });
      expectHappened(happened, [
        'crashes after hand-off, before the checkpoint',
        'crashes elsewhere',
        'stamped reads',
        'connections cut',
        'servers away',
        goesBack === 'database' ? 'restores' : 'clocks of the server set',
        'statements: cut before',
        'statements: cut after',
        'resyncs: checkpointExpired',
        'resyncs: tableTruncated',
      ]);
    },
  );
});

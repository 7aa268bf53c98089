import { Logger } from '@nestjs/common';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type Kind, seedsOf } from '../division.js';
import { BEFALLS_ALL, expectHappened, PATIENT_MS, playAll } from '../histories.js';
import { SqlServerSubject, type WhatGoesBack } from '../subjects/sql-server.subject.js';
import { WireClock, wireLine } from '../subjects/wire.line.js';

const STATEMENTS = [
  'statements: deadlock',
  'statements: lock timeout',
  'statements: snapshot conflict',
  'statements: too busy',
  'statements: cut before',
  'statements: cut after',
  'statements: slow to arrive',
  'statements: slow to answer',
];

const BEFALLS_THE_ENGINE = [
  ...BEFALLS_ALL,
  'tracking off and on',
  'snapshots allowed or not',
  'writers that hold their locks',
  'connections cut',
  'servers away',
  ...STATEMENTS,
];

const BEFALLS: Readonly<Record<WhatGoesBack, readonly string[]>> = {
  database: ['clean-ups inside a page', 'restores', 'resyncs: epochChanged'],
  clock: ['clocks of the server set', 'saves that were fenced off'],
};

const TITLES: Readonly<Record<WhatGoesBack, string>> = {
  database: 'deadlocks, cut connections, clean-up, truncate and restore',
  clock: 'deadlocks, cut connections, leases that two hold at once, clean-up and truncate',
};

/** The histories of one file on the engine, without packets. */
export function playOnTheEngine(goesBack: WhatGoesBack, file: number): void {
  const seeds = seedsOf({ kind: `engine, ${goesBack}`, file });
  describeQuietly(`Replicas of a tracker on SQL Server; what goes back is the ${goesBack}`, () => {
    it(
      `keep every promise in each of ${seeds.length} histories of ${TITLES[goesBack]}`,
      async () => {
        const subject = SqlServerSubject.maker({ goesBack });
        const happened = await playAll(seeds, { subject, trouble: 'all' });
        expectHappened(happened, [...BEFALLS_THE_ENGINE, ...BEFALLS[goesBack]]);
      },
      PATIENT_MS,
    );
  });
}

/** The histories of one file through the real driver and real packets. */
export function playOverTheWire(goesBack: WhatGoesBack, file: number): void {
  const seeds = seedsOf({ kind: `wire, ${goesBack}` satisfies Kind, file });
  describeQuietly(`Replicas of a tracker on SQL Server, over the wire; what goes back is the ${goesBack}`, () => {
    it(
      `keep every promise in each of ${seeds.length} histories through the real driver and real packets`,
      async () => {
        const subject = SqlServerSubject.maker({ goesBack, line: wireLine, clock: () => new WireClock() });
        const happened = await playAll(seeds, { subject, trouble: 'all' });
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
      PATIENT_MS,
    );
  });
}

/** Thousands of failures are meant here; their warnings would bury the result. */
function describeQuietly(title: string, tests: () => void): void {
  describe(title, () => {
    beforeAll(() => Logger.overrideLogger(false));
    afterAll(() => Logger.overrideLogger(true));
    tests();
  });
}

import {
  type FieldRule,
  type Invariant,
  simulate,
  type SimulationOptions,
  withoutFieldRule,
  withoutRule,
} from '@smartpulse/redis-cache/testing';
import { describe, expect, it } from 'vitest';

type History = Omit<SimulationOptions, 'seed'>;

interface Finding {
  readonly seed: number;
  readonly invariants: readonly Invariant[];
  readonly story: string;
}

/** Runs seeded histories until one breaks a promise (`among`: one of these). */
async function search(options: History, histories: number, among?: readonly Invariant[]): Promise<Finding | undefined> {
  for (let seed = 1; seed <= histories; seed++) {
    const { violations, history } = await simulate({ ...options, seed });
    const invariants = violations.map(({ invariant }) => invariant);
    if (invariants.some((invariant) => among?.includes(invariant) ?? true)) {
      return { seed, invariants, story: history.join('\n') };
    }
  }
  return undefined;
}

/** Of each kind; of all kinds together there are more than 30,000. `HISTORIES=50000` looks longer. */
const HISTORIES = Number(process.env['HISTORIES'] ?? 1_500);

/** Loads that take long beside the lives of values, so that they are begun before those end. */
const EARLY: History = {
  shape: 'row',
  earlyRefresh: 30,
  lifeMs: 60_000,
  tickMs: 2_000,
  actions: 24,
  weights: { tick: 6, load: 14, expireLocal: 0, expireStore: 0.3, evict: 0.3 },
};
/** Values whose lives end, and loaders that fail. */
const FAIL_SAFE: History = {
  shape: 'row',
  failSafe: true,
  lifeMs: 4_000,
  tickMs: 5_000,
  failingLoaders: 0.6,
  actions: 24,
  weights: { tick: 4, load: 16, expireLocal: 0.3, expireStore: 0.3, evict: 0.3, commit: 2 },
};
/** The same, and readers who do not wait for a load. */
const IMPATIENT: History = {
  ...FAIL_SAFE,
  failingLoaders: 0.1,
  staleAfterMs: 1_000,
  weights: { ...FAIL_SAFE.weights, commit: 5, tick: 6 },
};
const FAULTS: History = {
  shape: 'row',
  replicas: 3,
  actions: 22,
  maxCommits: 5,
  lostAnswers: 0.05,
  duplicates: 0.1,
  weights: { crash: 1, loseMessage: 1, cutLine: 1, evict: 1, userSet: 2 },
};
const LIVES: History = {
  ...FAULTS,
  deletes: 0.3,
  earlyRefresh: 5,
  failSafe: true,
  lifeMs: 20_000,
  tickMs: 3_000,
  failingLoaders: 0.3,
  weights: { ...FAULTS.weights, tick: 4, load: 12, expireLocal: 1, expireStore: 1 },
};

const sound: readonly (readonly [string, History])[] = [
  ['two replicas, changes refresh', { shape: 'row' }],
  ['two replicas, changes invalidate', { shape: 'aggregate' }],
  ['stamps read in an earlier statement', { shape: 'aggregate', stamp: 'earlier', actions: 16 }],
  ['three replicas, longer, more commits', { shape: 'row', replicas: 3, actions: 20, maxCommits: 5 }],
  [
    'three replicas, invalidating, many readers',
    { shape: 'aggregate', replicas: 3, actions: 24, maxCommits: 4, weights: { load: 14, read: 8 } },
  ],
  ['lines that are cut often', { shape: 'row', actions: 16, weights: { cutLine: 4 } }],
  ['loaders that fail often', { shape: 'aggregate', actions: 16, failingLoaders: 0.5 }],
  ['tables that are truncated, which moves no version', { shape: 'row', actions: 16, weights: { truncate: 3 } }],
  [
    'truncates while lines are cut and loaders read their stamp in an earlier statement',
    {
      shape: 'aggregate',
      stamp: 'earlier',
      actions: 18,
      weights: { truncate: 3, cutLine: 2, load: 10, expireStore: 3 },
    },
  ],
  [
    'messages that arrive twice, or not at all',
    { shape: 'row', actions: 16, duplicates: 0.3, weights: { loseMessage: 3 } },
  ],
  [
    'answers that are lost, and requests that arrive after they were given up',
    { shape: 'aggregate', actions: 16, lostAnswers: 0.1, weights: { expireStore: 3 } },
  ],
  ['replicas that crash', { shape: 'row', replicas: 3, actions: 18, weights: { crash: 2, load: 10 } }],
  [
    'everything at once, four replicas',
    {
      shape: 'row',
      replicas: 4,
      actions: 24,
      maxCommits: 5,
      lostAnswers: 0.05,
      duplicates: 0.1,
      weights: { crash: 1, loseMessage: 1, cutLine: 1, truncate: 0.5, userSet: 2 },
    },
  ],
  ['rows that are deleted', { shape: 'row', deletes: 0.4, actions: 16, weights: { userSet: 2, expireStore: 3 } }],
  ['values that are loaded anew before their end', EARLY],
  ['loaders that fail where values are kept beyond their lives', FAIL_SAFE],
  ['readers who do not wait for a load where values are kept beyond their lives', IMPATIENT],
  ['rows that are deleted, early and failing loads, and every fault', LIVES],
  ['the same, changes invalidate, and readers do not wait', { ...LIVES, shape: 'aggregate', staleAfterMs: 1_000 }],
  ['hashes of two rows', { shape: 'fields', actions: 16, weights: { userSet: 2 } }],
  ['hashes of two rows, and every fault', { ...FAULTS, shape: 'fields' }],
  ['versions of the store, tags and clear()', { shape: 'tagged', actions: 16 }],
  ['versions of the store, tags and clear(), and every fault', { ...FAULTS, shape: 'tagged' }],
  ['evictions and late user sets', { shape: 'row', actions: 16, weights: { evict: 3, userSet: 5, expireStore: 4 } }],
];

describe('random histories of the cache', () => {
  it.each(sound)('keep I1 to I7: %s', async (_, options) => {
    const finding = await search(options, HISTORIES);
    expect(finding?.story).toBeUndefined();
  });

  it('exercise what they are about: sets are refused, loads repeated, almost no answer is stale', async () => {
    const total = { reads: 0, refused: 0, stale: 0, loaders: 0 };
    for (let seed = 1; seed <= 500; seed++) {
      const result = await simulate({ shape: 'row', seed });
      total.reads += result.reads;
      total.refused += result.refusedSets;
      total.stale += result.staleAnswers;
      total.loaders += result.loaderRuns;
    }
    expect(total.reads).toBeGreaterThan(1_500);
    expect(total.refused).toBeGreaterThan(100);
    expect(total.loaders).toBeGreaterThan(700);
    expect(total.stale).toBeLessThan(total.reads / 100);
  });

  it('exercise their faults: answers are lost, and nothing confirms what is shown then', async () => {
    let stale = 0;
    for (let seed = 1; seed <= 300; seed++) {
      stale += (await simulate({ shape: 'row', lostAnswers: 0.1, seed })).staleAnswers;
    }
    expect(stale).toBeGreaterThan(100);
  });

  it('exercise what they are kept for: early loads, answers from before, and "no such thing"', async () => {
    const total = { early: 0, failSafe: 0, negative: 0, impatient: 0 };
    for (let seed = 1; seed <= 200; seed++) {
      total.early += (await simulate({ ...EARLY, seed })).earlyRefreshes;
      total.failSafe += (await simulate({ ...FAIL_SAFE, seed })).failSafes;
      total.impatient += (await simulate({ ...IMPATIENT, seed })).impatient;
      total.negative += (await simulate({ shape: 'row', deletes: 0.4, seed })).negativeHits;
    }
    expect(total.early).toBeGreaterThan(50);
    expect(total.failSafe).toBeGreaterThan(30);
    expect(total.impatient).toBeGreaterThan(30);
    expect(total.negative).toBeGreaterThan(200);
  });

  it('repeat exactly by their seed', async () => {
    const options: SimulationOptions = { shape: 'aggregate', seed: 4711, replicas: 3, actions: 20 };
    expect((await simulate(options)).history).toEqual((await simulate(options)).history);
  });
});

type Twin = readonly [string, readonly Invariant[], History];

const FIELD_TWINS: readonly (readonly [FieldRule, readonly Invariant[]])[] = [
  ['each step that changes fields counts in the stamp', ['I3']],
  ['a change of fields raises the floor of a lease', ['I3']],
  ['a field is compared with its own version, or the base', ['I2']],
  ['changes of fields never create a hash', ['I1']],
  ['what replaces a hash leaves fields above it', ['I2']],
];

const twins: Twin[] = [
  [
    'the floor is not raised on a lease',
    ['I3'],
    { shape: 'aggregate', ...withoutRule('a change raises the floor of a lease') },
  ],
  [
    'nothing is published when a change finds nothing',
    ['I3'],
    { shape: 'aggregate', ...withoutRule('a change that finds nothing is published') },
  ],
  [
    'reads and loads in flight are not marked',
    ['I3', 'I4'],
    { shape: 'row', ...withoutRule('what is learned marks flights') },
  ],
  [
    'a set whose lease is gone lands on an absent key',
    ['I3'],
    { shape: 'row', ...withoutRule('a set whose lease is gone is refused on an absent key') },
  ],
  [
    'a set without a lease creates',
    ['I3', 'I4'],
    { shape: 'row', ...withoutRule('a set without a lease creates nothing'), weights: { userSet: 3 } },
  ],
  ['changes create', ['I3'], { shape: 'row', ...withoutRule('changes never create a value') }],
  [
    'a load with a lower stamp is still joined',
    ['I1', 'I4'],
    { shape: 'row', ...withoutRule('a load that is behind is joined by nobody') },
  ],
  ['the stamp is read after the data', ['I2'], { shape: 'row', stamp: 'later' }],
  ['a lost connection is not announced', ['I3'], { shape: 'row', announcesLoss: false, weights: { cutLine: 3 } }],
  [
    'a message that is lost on a line that stands is not noticed',
    ['I3'],
    { shape: 'row', ...withoutRule('a number that is missing is noticed'), weights: { loseMessage: 3, cutLine: 0 } },
  ],
  [
    'the first message that is to be heard of a replica is lost on a line that stands, and not noticed',
    ['I3'],
    {
      shape: 'row',
      ...withoutRule('who was not heard of before may have said something'),
      weights: { loseMessage: 3, cutLine: 0 },
    },
  ],
  ['committed() does not clean its own replica', ['I4'], { shape: 'row', committedThrough: 'another' }],
  [
    'a read begun before a flush fills',
    ['I3'],
    { shape: 'row', ...withoutRule('what began before a flush never fills'), weights: { cutLine: 5, read: 8 } },
  ],
  [
    'leases outlive a sweep',
    ['I3'],
    { shape: 'row', ...withoutRule('a sweep kills leases'), weights: { truncate: 3, otherRow: 0 } },
  ],
  [
    'a sweep leaves what is stamped at its version',
    ['I3'],
    {
      shape: 'row',
      ...withoutRule('a sweep takes what is stamped at its version'),
      weights: { truncate: 3, otherRow: 0 },
    },
  ],
  [
    'a read begun before a sweep fills',
    ['I3'],
    {
      shape: 'row',
      ...withoutRule('what began before a flush never fills'),
      weights: { truncate: 5, read: 8, cutLine: 0, otherRow: 0, commit: 0.5, foreignCommit: 0 },
    },
  ],
  [
    'stamps learned from replies do not act like messages',
    ['I1'],
    {
      shape: 'row',
      actions: 24,
      failingLoaders: 0,
      ...withoutRule('stamps of replies act like messages'),
      weights: {
        commit: 0,
        foreignCommit: 2,
        otherRow: 0,
        load: 4,
        read: 12,
        userSet: 0,
        evict: 0,
        expireStore: 3,
        expireLocal: 4,
        cutLine: 0,
        tick: 0,
      },
    },
  ],
];

twins.push(
  [
    'a change does not raise the floor of a lease over a value that is loaded early',
    ['I3'],
    { ...EARLY, shape: 'aggregate', ...withoutRule('a change raises the floor of a lease') },
  ],
  [
    'what was removed comes back where a loader fails',
    ['I7'],
    { ...FAIL_SAFE, ...withoutRule('what was removed does not come back') },
  ],
  [
    'who joins a load is shown what others were shown who did not wait for it',
    ['I7'],
    { ...IMPATIENT, ...withoutRule('who joins a load that takes long is shown what is kept now') },
  ],
  [
    'a change creates what was deleted',
    ['I3'],
    { shape: 'row', deletes: 0.5, ...withoutRule('changes never create a value') },
  ],
  ['a loader tags what it has read afterwards', ['I4'], { shape: 'tagged', tags: 'after', actions: 16 }],
  [
    'an invalidated tag is not heard of, and nobody notices',
    ['I3'],
    { shape: 'tagged', announcesLoss: false, actions: 16, weights: { loseMessage: 3, cutLine: 0 } },
  ],
  [
    'what a replica is told marks no load of a version that the store will give',
    ['I4'],
    { shape: 'tagged', actions: 16, ...withoutRule('what is learned marks flights') },
  ],
  ...FIELD_TWINS.map(([rule, broken]): Twin => [
    `of hashes: ${rule}`,
    broken,
    { shape: 'fields', actions: 16, fieldsProtocol: withoutFieldRule(rule), weights: { userSet: 3 } },
  ]),
);

describe('what each rule is for: without it a promise breaks', () => {
  it.each(twins)('%s: breaks %j', async (_, broken, options) => {
    const finding = await search(options, 30_000, broken);
    expect(finding?.invariants.some((invariant) => broken.includes(invariant))).toBe(true);
  });
});

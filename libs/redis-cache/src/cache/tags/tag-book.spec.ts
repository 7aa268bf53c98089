import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { NamespaceNames } from '../../namespace/names.js';
import { Gate } from '../../testing/test-replicas.js';
import { EntryVersion } from '../../version/entry-version.js';
import { TagBook } from './tag-book.js';

const LIFE_MS = 10_000;
const at = (version: number): EntryVersion => new EntryVersion(0n, BigInt(version));
const red = (version: number) => [{ tag: 'red', version: at(version) }];

/** A book whose questions to the store wait for the test. */
function bookOf(): {
  readonly book: TagBook;
  readonly clock: VirtualClock;
  readonly answers: Gate<EntryVersion>[];
  line: boolean;
} {
  const clock = new VirtualClock();
  const answers: Gate<EntryVersion>[] = [];
  const state = { clock, answers, line: true };
  const book = new TagBook({
    clock,
    names: new NamespaceNames('test', 'rows'),
    lifeMs: LIFE_MS,
    trusted: () => state.line,
    store: {
      stamp: () => {
        const gate = new Gate<EntryVersion>();
        answers.push(gate);
        return gate.promise;
      },
    },
  });
  return Object.assign(state, { book });
}

describe('TagBook', () => {
  it('remembers what the store answered, and asks again at half of a tag’s life', async () => {
    const { book, clock, answers } = bookOf();
    const read = book.read(['red']);
    answers[0]?.open(at(1));
    expect(await read).toEqual(red(1));
    expect([book.holds(red(1)), book.holds(red(2))]).toEqual([true, false]);
    await clock.advance(LIFE_MS / 2 + 1);
    expect(book.holds(red(1))).toBeUndefined();
  });

  it.each([
    ['everything was forgotten', (book: TagBook) => book.clear()],
    ['the tag was forgotten', (book: TagBook) => book.forget('red')],
  ])(
    'does not remember an answer to a question from before %s: it may be behind what was forgotten',
    async (_, forget) => {
      const { book, answers } = bookOf();
      const read = book.read(['red']);
      book.learn('red', at(2));
      forget(book);
      answers[0]?.open(at(1));
      await read;
      expect(book.holds(red(1))).toBeUndefined();
    },
  );

  it('never goes back by an answer that is late: a message was told the higher version', async () => {
    const { book, answers } = bookOf();
    const read = book.read(['red']);
    book.learn('red', at(2));
    answers[0]?.open(at(1));
    expect(await read).toEqual(red(2));
    expect(book.holds(red(1))).toBe(false);
  });

  it('knows nothing, and remembers nothing, while messages may be lost', async () => {
    const state = bookOf();
    state.book.learn('red', at(1));
    state.line = false;
    expect(state.book.holds(red(1))).toBeUndefined();
    const checked = state.book.check(red(1));
    state.answers[0]?.open(at(2));
    expect(await checked).toBe(false);
    state.line = true;
    expect(state.book.holds(red(2))).toBe(false);
  });

  it('forgets the tag that it heard of longest ago when it knows too many', () => {
    const { book } = bookOf();
    for (let tag = 0; tag <= 10_000; tag++) {
      book.learn(`t${tag}`, at(1));
    }
    expect(book.holds([{ tag: 't0', version: at(1) }])).toBeUndefined();
    expect(book.holds([{ tag: 't1', version: at(1) }])).toBe(true);
  });
});

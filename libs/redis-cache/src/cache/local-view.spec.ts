import { describe, expect, it } from 'vitest';
import { EntryVersion } from '../version/entry-version.js';
import { LocalView, type SharedLoad } from './local-view.js';

const at = (version: number): EntryVersion => new EntryVersion(1n, BigInt(version));
const entry = (version: number, value = `v${version}`) => ({
  value,
  version: at(version),
  expiresAtMs: 1_000,
  bytes: 10,
});

const trusted = (): LocalView<string> => {
  const view = new LocalView<string>({ maxEntries: 10, maxBytes: 100_000 });
  view.trust();
  return view;
};
const load = (view: LocalView<string>): SharedLoad<string> => {
  const shared: SharedLoad<string> = {
    flight: view.begin('k'),
    stamp: undefined,
    answer: undefined,
    meanwhile: undefined,
  };
  view.share(shared);
  return shared;
};

describe('LocalView', () => {
  it('keeps nothing before the subscription stands', () => {
    const view = new LocalView<string>({ maxEntries: 10, maxBytes: 100_000 });
    view.fill(view.begin('k'), entry(5));
    expect(view.inspect('k')).toBeUndefined();
  });

  it('drops what is below a stamp learned, and keeps what is at it', () => {
    const view = trusted();
    view.fill(view.begin('k'), entry(5));
    view.learn('k', at(5));
    expect(view.inspect('k')?.version).toEqual(at(5));
    view.learn('k', at(6));
    expect(view.inspect('k')).toBeUndefined();
  });

  it('lets a flight fill only at or above what was learned while it ran, and nothing after an eviction or a flush', () => {
    const view = trusted();
    const [read, evicted, flushed] = [view.begin('k'), view.begin('e'), view.begin('f')];
    view.learn('k', at(6));
    view.fill(read, entry(5));
    expect(view.inspect('k')).toBeUndefined();
    view.fill(read, entry(6));
    expect(view.inspect('k')?.version).toEqual(at(6));
    view.evict('e');
    view.fill(evicted, entry(9));
    expect(view.inspect('e')).toBeUndefined();
    view.flush('sweep');
    view.fill(flushed, entry(9));
    expect(view.inspect('f')).toBeUndefined();
  });

  it('never replaces an entry by an older one', () => {
    const view = trusted();
    const read = view.begin('k');
    view.fill(view.begin('k'), entry(7));
    view.fill(read, entry(6));
    expect(view.inspect('k')?.version).toEqual(at(7));
  });

  it('does not let content of a stamp stand beside other content of that stamp that was shown meanwhile', () => {
    const view = trusted();
    const mine = view.begin('k');
    const shown = view.begin('k');
    // A loader that reads its stamp in an earlier statement may bring newer content under the same stamp.
    view.learn('k', at(5), shown);
    expect(view.accepts(shown, at(5))).toBe(true);
    expect(view.accepts(mine, at(5))).toBe(false);
    expect(view.accepts(mine, at(6))).toBe(true);
    view.asksAgain(mine);
    expect(view.accepts(mine, at(5))).toBe(true);
  });

  it('offers a load until its stamp is behind, whichever of the two becomes known first', () => {
    const view = trusted();
    const first = load(view);
    view.learn('k', at(6));
    expect(view.shared('k')).toBe(first);
    view.stamp(first, at(5));
    expect(view.shared('k')).toBeUndefined();

    const second = load(view);
    view.stamp(second, at(6));
    expect(view.shared('k')).toBe(second);
    view.learn('k', at(7));
    expect(view.shared('k')).toBeUndefined();
    expect(view.counts.takenOut).toBe(2);
  });

  it('offers no load from before an eviction or a flush', () => {
    const view = trusted();
    load(view);
    view.evict('k');
    expect(view.shared('k')).toBeUndefined();
    load(view);
    view.flush('sweep');
    expect(view.shared('k')).toBeUndefined();
  });
});

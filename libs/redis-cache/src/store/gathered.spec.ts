import { describe, expect, it } from 'vitest';
import { Gathered } from './gathered.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function gathered(atMost: number): { readonly all: Gathered<string>; readonly sent: (readonly string[])[] } {
  const sent: (readonly string[])[] = [];
  return { all: new Gathered<string>(atMost, (items) => sent.push(items)), sent };
}

describe('what is asked for in one turn', () => {
  it('leaves together at its end, in order', async () => {
    const { all, sent } = gathered(10);
    ['a', 'b', 'c'].forEach((one) => all.add(one));
    expect(sent).toEqual([]);
    await turn();
    all.add('d');
    await turn();
    expect(sent).toEqual([['a', 'b', 'c'], ['d']]);
  });

  it('leaves earlier when the next one would be too much', async () => {
    const { all, sent } = gathered(10);
    all.add('a', 6);
    all.add('b', 4);
    all.add('c', 1);
    expect(sent).toEqual([['a', 'b']]);
    await turn();
    expect(sent).toEqual([['a', 'b'], ['c']]);
  });

  it('leaves alone when it is too much by itself', async () => {
    const { all, sent } = gathered(10);
    all.add('a');
    all.add('large', 50);
    all.add('b');
    await turn();
    expect(sent).toEqual([['a'], ['large'], ['b']]);
  });

  it('leaves when it is told to, and nothing twice', async () => {
    const { all, sent } = gathered(10);
    all.add('a');
    expect(all.last).toBe('a');
    all.leave();
    all.leave();
    await turn();
    expect(sent).toEqual([['a']]);
    expect(all.last).toBeUndefined();
  });
});

import { describe, expect, it } from 'vitest';
import { matchesStrongly, matchesWeakly, parseEntityTags } from './entity-tags.js';

describe('parseEntityTags', () => {
  it('reads lists, weak tags and the star', () => {
    expect(parseEntityTags(' "a" , W/"b"')).toEqual(['"a"', 'W/"b"']);
    expect(parseEntityTags('*')).toBe('*');
  });

  it('reads tags that contain commas, and passes over empty elements of a list', () => {
    expect(parseEntityTags('"a,b", "c"')).toEqual(['"a,b"', '"c"']);
    expect(parseEntityTags(', "a",, "b",')).toEqual(['"a"', '"b"']);
  });

  it.each(['', ',', 'a', '"a', '"a" "b"', '"a", b', '"a b"', '*, "a"'])('refuses %j', (header) => {
    expect(parseEntityTags(header)).toBeUndefined();
  });
});

describe('comparing entity tags', () => {
  it('never matches a weak tag in If-Match, where a write depends on it', () => {
    expect(matchesStrongly(['W/"a"'], '"a"', true)).toBe(false);
    expect(matchesStrongly(['"b"', '"a"'], '"a"', true)).toBe(true);
  });

  it('matches the star of If-Match only where there is something', () => {
    expect(matchesStrongly('*', '"a"', true)).toBe(true);
    expect(matchesStrongly('*', '"a"', false)).toBe(false);
  });

  it('matches weak tags in If-None-Match', () => {
    expect(matchesWeakly(['W/"a"'], '"a"')).toBe(true);
    expect(matchesWeakly(['"b"'], '"a"')).toBe(false);
  });
});

import { describe, expect, it } from 'vitest';
import { escapeTopicPart, resolveTopicName } from './topic-name.js';

describe('topic names', () => {
  it.each([
    ['orders', 'persistent://acme/grid/orders'],
    ['a/b/orders', 'persistent://a/b/orders'],
    ['persistent://a/b/orders', 'persistent://a/b/orders'],
    ['orders-%C3%BC', 'persistent://acme/grid/orders-%C3%BC'],
  ])('resolves %s', (name, topic) => {
    expect(resolveTopicName(name, 'acme/grid')).toEqual({ topic });
  });

  it.each([
    '',
    'a/b',
    'a b',
    'non-persistent://a/b/c',
    'persistent://a/b',
    'persistent://a/b/c/d',
    'ü',
    'a?b',
    'x'.repeat(256),
  ])('refuses %j', (name) => {
    expect(resolveTopicName(name, 'acme/grid').problem).toBeTypeOf('string');
  });

  it('escapes any text to a part of a name, different texts to different parts', () => {
    const texts = ['Nürnberg/2', 'Nürnberg 2', '%', '..', '風', '\ud800', 'a:b'];
    const parts = texts.map((text) => escapeTopicPart(text));
    expect(new Set(parts).size).toBe(texts.length);
    for (const part of parts) {
      expect(resolveTopicName(`readings-${part}`, 'acme/grid').problem).toBeUndefined();
    }
  });
});

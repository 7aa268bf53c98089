import { describe, expect, it } from 'vitest';
import { ProgressLine } from './progress-line.js';

describe('ProgressLine', () => {
  it('replaces its text on a terminal and goes on below at the end', () => {
    const written: string[] = [];
    const line = new ProgressLine({ isTTY: true, write: (text) => written.push(text) });
    line.show('1 row');
    line.show('1 row');
    line.show('2 rows');
    line.end();

    expect(written).toEqual(['\r\u001B[K1 row', '\r\u001B[K2 rows', '\n']);
  });

  it('writes whole lines where nothing can be replaced', () => {
    const written: string[] = [];
    const line = new ProgressLine({ write: (text) => written.push(text) });
    line.show('1 row');
    line.end();

    expect(written).toEqual(['1 row\n']);
  });
});

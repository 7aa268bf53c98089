import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { sendAtOnce } from './send-at-once.js';

class Connection extends EventEmitter {
  readonly told: boolean[] = [];
  readonly socket = { setNoDelay: (noDelay: boolean) => this.told.push(noDelay) };
}

describe('sendAtOnce', () => {
  it('holds no packet of a connection back once it stands, and touches none that failed', () => {
    const [well, failed] = [new Connection(), new Connection()];
    sendAtOnce(well);
    sendAtOnce(failed);
    expect(well.told).toEqual([]);
    well.emit('connect');
    failed.emit('connect', new Error('refused'));

    expect([well.told, failed.told]).toEqual([[true], []]);
  });
});

import { Duplex, PassThrough } from 'node:stream';
import { VirtualClock } from '@smartpulse/resilience/testing';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { LiveSocket } from './live-socket.js';

/** Counts how often frames leave, and with how many characters. */
class Wire extends PassThrough {
  readonly writes: number[] = [];

  override _writev(chunks: { readonly chunk: Buffer }[], done: () => void): void {
    this.writes.push(chunks.reduce((sum, { chunk }) => sum + chunk.length, 0));
    done();
  }
}

/** A socket whose frames are their texts, without a peer. */
class LooseSocket extends WebSocket {
  readonly #wire: Wire;

  constructor(wire: Wire) {
    // Its handshake is never answered.
    super('ws://127.0.0.1', {
      createConnection: () => new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() }),
    });
    this.#wire = wire;
  }

  override send(text: string): void {
    this.#wire.write(text);
  }
}

function live() {
  const wire = new Wire();
  return { wire, socket: new LiveSocket(new LooseSocket(wire), wire, new VirtualClock()) };
}

function endOfTurn(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}

describe('frames of one turn', () => {
  it('leave in one write where they are small', async () => {
    const { wire, socket } = live();
    for (let frame = 0; frame < 10; frame++) {
      socket.send('x'.repeat(100));
    }
    expect(wire.writes).toEqual([]);
    await endOfTurn();
    expect(wire.writes).toEqual([1_000]);
  });

  it('leave as soon as they are some, so that a broker reads the first while the last are made', async () => {
    const { wire, socket } = live();
    for (let frame = 0; frame < 100; frame++) {
      socket.send('x'.repeat(1_400));
    }
    // 24 frames of 1,400 are the first that reach 32,768.
    expect(wire.writes).toEqual(Array.from({ length: 4 }, () => 33_600));
    await endOfTurn();
    expect(wire.writes).toEqual([...Array.from({ length: 4 }, () => 33_600), 5_600]);
    socket.send('y');
    socket.send('z');
    await endOfTurn();
    expect(wire.writes.at(-1)).toBe(2);
  });
});

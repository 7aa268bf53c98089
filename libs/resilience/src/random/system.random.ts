import { randomBytes } from 'node:crypto';
import { Random } from './random.js';

/** The machine's own chance: `Math.random` for numbers, the cryptographic generator for bytes and identifiers. */
export class SystemRandom extends Random {
  override next(): number {
    return Math.random();
  }

  override bytes(size: number): Uint8Array {
    return randomBytes(size);
  }
}

/**
 * Chance, as a port: jitter, sampling and identifiers come from here, so that a seeded run repeats exactly.
 */
export abstract class Random {
  /** A number from 0 (inclusive) to 1 (exclusive). */
  abstract next(): number;

  /** `size` random bytes. */
  abstract bytes(size: number): Uint8Array;

  /** A whole number from 0 (inclusive) to `limit` (exclusive). */
  int(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** An identifier of 22 characters (128 bits, base64url): tokens, instance and owner names. */
  id(): string {
    return Buffer.from(this.bytes(16)).toString('base64url');
  }
}

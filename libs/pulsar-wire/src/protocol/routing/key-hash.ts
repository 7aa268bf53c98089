/** How a key chooses a partition. Producers of one topic must agree, else a key's messages lie in two partitions. */
export type KeyHashName = 'java-string' | 'murmur3-32';

/** `String.hashCode` of Java, without its sign: the default of the Java client. */
export function javaStringHash(key: string): number {
  let hash = 0;
  for (let index = 0; index < key.length; index++) {
    hash = (Math.imul(hash, 31) + key.charCodeAt(index)) | 0;
  }
  return hash & 0x7fff_ffff;
}

/** Murmur3 (x86, 32 bits, seed 0) of the UTF-8 bytes, without its sign: what every official client offers. */
export function murmur3Hash(key: string | Uint8Array): number {
  return murmur3(typeof key === 'string' ? Buffer.from(key, 'utf8') : key) & 0x7fff_ffff;
}

function murmur3(bytes: Uint8Array): number {
  const { length } = bytes;
  const blocksEnd = length & ~3;
  let hash = 0;
  for (let at = 0; at < blocksEnd; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash ^= mixed(word);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe654_6b64) | 0;
  }
  let tail = 0;
  for (let at = length - 1; at >= blocksEnd; at--) {
    tail = (tail << 8) | bytes[at]!;
  }
  hash ^= mixed(tail) ^ length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function mixed(word: number): number {
  const scaled = Math.imul(word, 0xcc9e_2d51);
  return Math.imul((scaled << 15) | (scaled >>> 17), 0x1b87_3593);
}

/** The partition of a key, 0 to `partitions` − 1. */
export function partitionOf(key: string, partitions: number, hash: KeyHashName): number {
  return (hash === 'java-string' ? javaStringHash(key) : murmur3Hash(key)) % partitions;
}

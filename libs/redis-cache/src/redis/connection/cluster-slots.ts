import type { RedisAddress } from './redis-url.js';

/** Slots of a cluster. */
export const SLOTS = 16_384;

/** A master and what it holds. */
export interface ClusterMaster extends RedisAddress {
  /** Of the node, for its life in the cluster. */
  readonly id: string;
  /** First and last slot, both included. */
  readonly ranges: readonly (readonly [number, number])[];
}

/** The slot of a key: of what stands in its first pair of braces, else of the whole key. */
export function slotOf(key: string): number {
  const open = key.indexOf('{');
  const close = open === -1 ? -1 : key.indexOf('}', open + 1);
  return crc16(Buffer.from(close > open + 1 ? key.slice(open + 1, close) : key)) % SLOTS;
}

/** CRC-16/XMODEM, as the specification of the cluster has it. */
function crc16(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) {
      crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
    }
  }
  return crc;
}

/**
 * Reads the reply of `CLUSTER SLOTS`.
 *
 * @param asked who answered: a node that does not know its own host leaves it empty.
 * @throws TypeError when it is none.
 */
export function readSlots(reply: unknown, asked: RedisAddress): readonly ClusterMaster[] {
  const masters = new Map<string, ClusterMaster & { readonly ranges: [number, number][] }>();
  for (const entry of asList(reply)) {
    const [first, last, node] = asList(entry);
    const [host, port, id] = asList(node);
    if (typeof first !== 'number' || typeof last !== 'number' || typeof port !== 'number' || typeof id !== 'string') {
      throw new TypeError('The reply of CLUSTER SLOTS has another form.');
    }
    const known = masters.get(id);
    if (known === undefined) {
      const address = typeof host === 'string' && host !== '' && host !== '?' ? host : asked.host;
      masters.set(id, { id, host: address, port, ranges: [[first, last]] });
    } else {
      known.ranges.push([first, last]);
    }
  }
  return [...masters.values()];
}

function asList(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) {
    throw new TypeError('The reply of CLUSTER SLOTS has another form.');
  }
  return value as unknown[];
}

/** Where a node sent us. `moved`: for good; `ask`: for this one command. */
export interface Redirection extends RedisAddress {
  readonly kind: 'moved' | 'ask';
  readonly slot: number;
}

/** Reads an error of a node; `undefined` when it is no redirection. */
export function readRedirection(error: unknown, asked: RedisAddress): Redirection | undefined {
  const parts = error instanceof Error ? /^(MOVED|ASK) (\d+) (.*):(\d+)$/.exec(error.message) : null;
  if (parts === null) {
    return undefined;
  }
  const [, kind, slot, host = '', port] = parts;
  return {
    kind: kind === 'ASK' ? 'ask' : 'moved',
    slot: Number(slot),
    host: host === '' || host === '?' ? asked.host : host,
    port: Number(port),
  };
}

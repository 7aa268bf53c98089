import { availableParallelism } from 'node:os';
import type { Job, Throughput } from './job.ts';
import { cpuMsOf, rounded, spread, table } from '../statistics.ts';

/** Who takes part, as the benchmark started it. */
interface Asked {
  readonly name: string;
  readonly peer: { ask<T>(question: object): Promise<T> };
}

const BARE = 'WebSocket, bare ws loop';
const PORT = 'WebSocket transport (port)';
const PERMITS_ONLY = 'WebSocket, permits only';
const CASES = [
  { name: BARE, connections: 1, title: 'bare, 1 connection' },
  { name: PORT, connections: 1, title: 'port, 1 connection' },
  { name: PERMITS_ONLY, connections: 1, title: 'bare, 1 connection, all permitted at once, nothing acknowledged' },
  { name: BARE, connections: 2, title: 'bare, 2 connections' },
  { name: BARE, connections: 4, title: 'bare, 4 connections' },
];
const MESSAGES = 10_000;
const WARM_UP_ROUNDS = 1;
const ROUNDS = 4;

export interface WebSocketLimitRow {
  readonly name: string;
  readonly perSecond: number;
  readonly clientBusyPercent: number;
  readonly brokerProcessors: number;
  readonly brokerSecondsPerMillion: number;
  readonly ceilingPerSecond: number;
}

/**
 * What limits consuming through the WebSocket. A client that waits for most of the time is not what limits; and no client can receive more than the
 * machine's processors can do of what the broker does for each message: JSON, base64, a frame and a write of its own.
 */
export async function measureWebSocketLimit(
  contestants: readonly Asked[],
  topic: string,
  bytes: number,
  brokerPid: number | undefined,
): Promise<readonly WebSocketLimitRow[]> {
  const rows: WebSocketLimitRow[] = [];
  const figures = new Map<string, { readonly ms: number; readonly cpuMs: number; readonly brokerMs: number }[]>();
  for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
    for (const [at, { name, connections, title }] of CASES.entries()) {
      const contestant = contestants.find((other) => other.name === name);
      if (contestant !== undefined) {
        const subscription = `limit-${at}-${round + WARM_UP_ROUNDS}`;
        const job: Job = { kind: 'consume', topic, subscription, messages: MESSAGES, bytes, connections };
        const brokerStartedMs = cpuMsOf(brokerPid);
        const { ms, cpuMs } = await contestant.peer.ask<Throughput>(job);
        const brokerMs = cpuMsOf(brokerPid) - brokerStartedMs;
        if (round >= 0) {
          figures.set(title, [...(figures.get(title) ?? []), { ms, cpuMs, brokerMs }]);
        }
      }
    }
  }
  for (const [name, all] of figures) {
    const brokerSecondsPerMillion = spread(all.map(({ brokerMs }) => (brokerMs / MESSAGES) * 1_000)).median;
    rows.push({
      name,
      perSecond: Math.round(spread(all.map(({ ms }) => (MESSAGES / ms) * 1_000)).median),
      clientBusyPercent: Math.round(spread(all.map(({ ms, cpuMs }) => (cpuMs / ms) * 100)).median),
      brokerProcessors: rounded(spread(all.map(({ ms, brokerMs }) => brokerMs / ms)).median),
      brokerSecondsPerMillion: rounded(brokerSecondsPerMillion),
      ceilingPerSecond: Math.round((availableParallelism() * 1_000_000) / brokerSecondsPerMillion),
    });
  }
  return rows;
}

export function reportWebSocketLimit(rows: readonly WebSocketLimitRow[]): void {
  console.log(
    '\nWhat limits consuming through the WebSocket: who is busy. The ceiling is what the broker could deliver if it had all processors for itself.',
  );
  table(rows, (row) => ({
    'msg/s': row.perSecond,
    'client busy %': row.clientBusyPercent,
    'broker, processors': row.brokerProcessors,
    'broker, CPU s per million': row.brokerSecondsPerMillion,
    'ceiling msg/s': row.ceilingPerSecond,
  }));
}

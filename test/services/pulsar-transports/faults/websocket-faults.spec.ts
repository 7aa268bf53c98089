import { Traffic } from '@smartpulse/pulsar/testing';
import { WebSocketTransport } from '@smartpulse/pulsar/websocket';
import { SystemClock, SystemRandom, type Timer, type TimerOptions } from '@smartpulse/resilience';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Direction, FaultProxy } from '../../../support/fault-proxy/fault-proxy.js';
import { runtimeForTests } from '../../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../../support/pulsar/standalone.js';

/** Thirty times as fast: a heartbeat is every second. */
const SPEED = 30;
const WAIT = { timeout: 60_000, interval: 20 };
const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;
let topics = 0;
const made: WebSocketTransport[] = [];

class FastClock extends SystemClock {
  override monotonic(): number {
    return super.monotonic() * SPEED;
  }

  override setTimer(delayMs: number, callback: () => void, options?: TimerOptions): Timer {
    return super.setTimer(delayMs / SPEED, callback, options);
  }
}

/** Messages that go and come through the proxy. */
async function traffic(url: string, clock: SystemClock, partitions?: number): Promise<Traffic> {
  const make = async (): Promise<WebSocketTransport> => {
    const transport = new WebSocketTransport(
      { url, token: undefined, tls: undefined, connectTimeoutMs: 10_000 * SPEED, operationTimeoutMs: 60_000 * SPEED },
      { clock, random: new SystemRandom() },
    );
    made.push(transport);
    await transport.connect();
    return transport;
  };
  const path = `public/default/websocket-faults-${topics++}`;
  if (partitions !== undefined) {
    await pulsar.admin.createTopic(path, partitions);
  }
  const [from, to] = [await make(), await make()];
  return Traffic.between({ from, to, topic: `persistent://${path}`, wait: (ms) => sleep(ms) });
}

describe.runIf(runtime !== undefined)('the WebSocket transport on a real broker behind a bad line', () => {
  beforeAll(async () => {
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime);
    }
  });
  afterEach(async () => {
    await Promise.all(made.splice(0).map((transport) => transport.close()));
  });
  afterAll(async () => {
    await pulsar?.stop();
  });

  const cuts = (['toServer', 'toClient'] as const).flatMap((direction: Direction) =>
    [1, 2, 3, 7, 50, 127, 500, 2_000, 8_000].map((bytes) => ({ direction, bytes })),
  );

  it.each(cuts)(
    'loses nothing when it is cut after $bytes bytes $direction, in the middle of a frame',
    async ({ direction, bytes }) => {
      await using proxy = await FaultProxy.before(pulsar.webSocketUrl);
      const one = await traffic(proxy.url, new SystemClock());
      const cut = proxy.cutAfter(direction, bytes);
      const sent = one.send(500);
      await cut;
      await sent;
      await one.goesOn();
      expect(proxy.accepted).toBeGreaterThan(2);
      await one.check();
    },
  );

  it('loses nothing on a topic of four partitions whose connections are cut again and again', async () => {
    await using proxy = await FaultProxy.before(pulsar.webSocketUrl);
    const one = await traffic(proxy.url, new SystemClock(), 4);
    for (let round = 0; round < 4; round++) {
      const sent = one.send(200);
      await sleep(round * 3);
      proxy.cut();
      await sent;
      await one.goesOn();
    }
    expect(proxy.accepted).toBeGreaterThanOrEqual(2 + 2 * 4);
    await one.check();
  });

  it('finds out by its heartbeat that a line is silent, and goes on by another', async () => {
    await using proxy = await FaultProxy.before(pulsar.webSocketUrl);
    const one = await traffic(proxy.url, new FastClock());
    await one.send(100);
    const { accepted } = proxy;
    proxy.silence();
    const lost = one.send(100);
    await expect.poll(() => proxy.accepted, WAIT).toBeGreaterThanOrEqual(accepted + 2);
    await lost;
    await one.goesOn();
    await one.check();
  });

  it('bears a line that is slow and one that brings each byte by itself', async () => {
    await using proxy = await FaultProxy.before(pulsar.webSocketUrl);
    const one = await traffic(proxy.url, new SystemClock());
    proxy.slow(20);
    await one.send(200);
    proxy.calm();
    proxy.split(1);
    await one.send(50);
    await expect.poll(() => one.received, WAIT).toBeGreaterThanOrEqual(250);
    await one.check();
  });
});

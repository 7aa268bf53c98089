import { Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CdcRegistry, InProcessPollSignal } from '@smartpulse/cdc';
import { InMemoryChangeSource, InMemoryCheckpointStore, InProcessLeadership } from '@smartpulse/cdc/testing';
import { defineOutbox, OUTBOX_ID_PROPERTY, OutboxRelay } from '@smartpulse/data-sync';
import { defineEvent, PulsarConnection, PulsarModule, PulsarPublisher } from '@smartpulse/pulsar';
import { enableGracefulShutdown, ResilienceModule, SystemClock, SystemRandom } from '@smartpulse/resilience';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runtimeForTests } from '../../support/pulsar/runtime.js';
import { PulsarStandalone } from '../../support/pulsar/standalone.js';

const TABLE = 'dbo.outbox';
const KEYS = 5;
const ROWS = 600;
const moved = defineEvent({
  name: 'moved',
  topic: 'outbox-moves',
  schema: z.object({ unit: z.string(), step: z.number() }),
  key: ({ unit }) => unit,
});
const outbox = defineOutbox({ table: TABLE, events: [moved] });
const runtime = await runtimeForTests();
let pulsar: PulsarStandalone;

describe.runIf(runtime !== undefined)('the relay of an outbox on a real broker', () => {
  beforeAll(async () => {
    Logger.overrideLogger(false);
    if (runtime !== undefined) {
      pulsar = await PulsarStandalone.start(runtime);
    }
  });
  afterAll(async () => {
    await pulsar?.stop();
    Logger.overrideLogger(true);
  });

  it('publishes every committed row and keeps the order per key, with the broker killed in the middle', async () => {
    @Module({
      imports: [
        ResilienceModule.forRoot(),
        PulsarModule.forRoot({
          url: pulsar.serviceUrl,
          namespace: 'public/default',
          operationTimeoutMs: 60_000,
          // Shorter than the broker is away: refused sends are part of it.
          producer: { sendTimeoutMs: 1_500 },
        }),
      ],
    })
    class RelayModule {}
    const app = await NestFactory.createApplicationContext(RelayModule, { logger: false });
    enableGracefulShutdown(app, { signals: false });
    const { transport } = app.get(PulsarConnection);
    const ids: number[] = [];
    const consumer = await transport.subscribe(
      {
        topic: 'persistent://public/default/outbox-moves',
        subscription: 'reader',
        type: 'Exclusive',
        initialPosition: 'earliest',
        durable: true,
      },
      {
        onMessage: ({ id, properties }) => {
          ids.push(Number(properties[OUTBOX_ID_PROPERTY]));
          consumer.permit(1);
          void consumer.ack(id).catch((error: unknown) => expect(error).toBeInstanceOf(Error));
        },
        onClosed: () => undefined,
      },
    );
    consumer.permit(1_000);

    const source = new InMemoryChangeSource('db', [
      { table: TABLE, primaryKey: ['id'], columns: ['id', 'event', 'key', 'payload'] },
    ]);
    const relay = new OutboxRelay(outbox, app.get(PulsarPublisher), transport);
    const tracker = new CdcRegistry({
      source,
      checkpoints: new InMemoryCheckpointStore(),
      leadership: new InProcessLeadership(),
      pollSignal: new InProcessPollSignal(),
      clock: new SystemClock(),
      random: new SystemRandom(),
    }).track({ consumer: 'outbox', table: TABLE, sink: relay, pageSize: 40, minIntervalMs: 5, maxIntervalMs: 50 });
    tracker.start();

    let last = 0;
    const commit = (rows: number): void =>
      void source.commit((tx) => {
        for (let row = 0; row < rows; row++) {
          const id = ++last;
          tx.upsert(TABLE, { id, ...outbox.row(moved, { unit: `U-${id % KEYS}`, step: id }) });
        }
      });
    const seen = (): Set<number> => new Set(ids);
    commit(100);
    await expect.poll(() => seen().size, { timeout: 30_000 }).toBe(100);
    // Killed while pages are on their way.
    for (let round = 0; round < 20; round++) {
      commit(10);
    }
    await expect.poll(() => relay.stats.relayed, { timeout: 30_000, interval: 1 }).toBeGreaterThan(110);
    await pulsar.kill();
    const relayed = relay.stats.relayed;
    commit(100);
    await expect.poll(() => relay.stats.failures, { timeout: 30_000 }).toBeGreaterThan(0);
    await pulsar.restart();
    for (let left = ROWS - last; left > 0; left -= 20) {
      commit(Math.min(20, left));
    }
    await expect.poll(() => seen().size, { timeout: 90_000 }).toBe(ROWS);

    expect(relayed).toBeLessThan(ROWS);
    const firsts = [...seen()];
    for (let key = 0; key < KEYS; key++) {
      const ofKey = firsts.filter((id) => id % KEYS === key);
      expect(ofKey).toEqual(ofKey.toSorted((a, b) => a - b));
    }
    await tracker.stop();
    await consumer.close();
    await app.close();
  }, 180_000);
});

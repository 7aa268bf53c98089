import 'reflect-metadata';
import { Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { metrics } from '@opentelemetry/api';
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { bytesCodec, type PulsarCodec, PulsarConsumers, PulsarModule, PulsarPublisher } from '@smartpulse/pulsar';
import { ResilienceModule } from '@smartpulse/resilience';
import { createTransport, type KeyedBatches, overTransport, type TransportName } from './bare.ts';
import type { Settings } from './job.ts';
import { bytesOf, Milestone, type Subject, textOf, until } from './subject.ts';

/** Collects when asked, as a scrape does; nothing runs in between. */
class ScrapedReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}
  protected override async onShutdown(): Promise<void> {}
}

/** What an app may do otherwise. */
export interface ModuleVariant {
  readonly handler: 'async' | 'sync';
  /** `false`: no meter provider is registered. */
  readonly metrics: boolean;
  readonly batching: boolean;
  readonly batchKeyed: KeyedBatches;
  /** `json`: the payload travels as a text in an object, as the peers that know JSON only have it. */
  readonly codec: 'bytes' | 'json';
}

/** As many as the semantic conventions ask of a handler run, and in the module's order: sorted they are cheaper for the SDK. */
const ATTRIBUTES = {
  'messaging.destination.name': 'persistent://public/default/readings',
  'messaging.destination.subscription.name': 'ledger',
  'messaging.operation.name': 'process',
  'messaging.system': 'pulsar',
};
const BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];

/** The module as an app has it: pooled producers, a registered handler, a lane per key, metrics that somebody reads. */
export async function moduleSubject(name: TransportName, variant: ModuleVariant, settings: Settings): Promise<Subject> {
  const reader = new ScrapedReader();
  if (variant.metrics) {
    metrics.setGlobalMeterProvider(new MeterProvider({ readers: [reader] }));
  }
  Logger.overrideLogger(['error', 'warn']);
  class AppModule {}
  const transport = createTransport(name, settings);
  Module({
    imports: [
      ResilienceModule.forRoot(),
      PulsarModule.forRoot({
        url: 'memory://',
        namespace: 'public/default',
        transport,
        ownTransport: true,
        producer: {
          batching: variant.batching,
          batchKeyed: variant.batchKeyed,
          batchMaxMessages: settings.batchMessages,
          batchMaxBytes: settings.batchBytes,
          batchMaxDelayMs: settings.lingerMs,
          maxPendingMessages: settings.window,
        },
      }),
    ],
  })(AppModule);
  const app = await NestFactory.createApplicationContext(AppModule);
  const publisher = app.get(PulsarPublisher);
  const consumers = app.get(PulsarConsumers);
  const codec = variant.codec === 'bytes' ? bytesCodec : textInJson;
  const histogram = metrics
    .getMeter('bench')
    .createHistogram('bench.duration', { unit: 's', advice: { explicitBucketBoundaries: BUCKETS_S } });
  return {
    sender: async (topic) => ({
      send: (payload, key) => publisher.publish(topic, payload, { key, codec }),
      close: () => publisher.flush(topic),
    }),
    receiver: async (topic, subscription, onMessage) => {
      const handled = new Milestone();
      const handle = (payload: Uint8Array): void => {
        onMessage(payload);
        handled.passed();
      };
      const handler =
        variant.handler === 'async' ? async (payload: Uint8Array): Promise<void> => handle(payload) : handle;
      const consumer = await consumers.register(
        {
          topic,
          subscription,
          type: 'Shared',
          initialPosition: 'earliest',
          concurrency: settings.concurrency,
          prefetch: settings.prefetch,
          codec,
        },
        handler,
      );
      return {
        settled: async (messages) => {
          await handled.reached(messages);
          await until(() => consumer.stats().acked >= messages);
          if (variant.metrics) {
            await reader.collect();
          }
        },
        close: () => consumer.close(),
      };
    },
    sendAlone: overTransport(transport, variant.batchKeyed, settings).sendAlone,
    record: (times) => {
      for (let time = 0; time < times; time++) {
        histogram.record(0.001, ATTRIBUTES);
      }
    },
    close: () => app.close(),
  };
}

/** What JSON makes of bytes that a text carries. */
const textInJson: PulsarCodec<Uint8Array> = {
  contentType: 'application/json',
  encode: (payload) => Buffer.from(JSON.stringify({ text: textOf(payload) })),
  decode: (payload) =>
    bytesOf(
      (JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString()) as { text: string })
        .text,
    ),
};

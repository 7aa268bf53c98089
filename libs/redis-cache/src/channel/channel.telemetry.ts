import { type BatchObservableCallback, metrics } from '@opentelemetry/api';
import { CACHE_INSTRUMENTS } from '../redis-cache.telemetry.js';
import type { CacheChannels } from './cache.channels.js';

/** Shows the counters of the app's channels to OpenTelemetry. Instruments are made at {@link start}: metrics have no proxy provider. */
export class ChannelTelemetry {
  #stop: (() => void) | undefined;

  constructor(private readonly channels: CacheChannels) {}

  start(): void {
    const meter = metrics.getMeter('@smartpulse/redis-cache');
    const messages = meter.createObservableCounter(CACHE_INSTRUMENTS.channelMessages);
    const gaps = meter.createObservableCounter(CACHE_INSTRUMENTS.channelGaps);
    const observe: BatchObservableCallback = (result) => {
      for (const [{ attributes }, channel] of this.channels.list()) {
        const stats = channel.stats();
        for (const outcome of ['published', 'publishFailures', 'received', 'handled', 'failed', 'dropped'] as const) {
          result.observe(messages, stats[outcome], { ...attributes, outcome });
        }
        result.observe(gaps, stats.gaps, attributes);
      }
    };
    meter.addBatchObservableCallback(observe, [messages, gaps]);
    this.#stop = () => meter.removeBatchObservableCallback(observe, [messages, gaps]);
  }

  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}

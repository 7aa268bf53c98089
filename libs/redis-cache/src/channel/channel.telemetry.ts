import { type BatchObservableCallback, metrics } from '@opentelemetry/api';
import { CACHE_INSTRUMENTS } from '../redis-cache.telemetry.js';
import type { CacheChannel } from './cache.channel.js';

/** Shows the counters of the app's channel to OpenTelemetry. Instruments are made at {@link start}: metrics have no proxy provider. */
export class ChannelTelemetry {
  #stop: (() => void) | undefined;

  constructor(private readonly channel: CacheChannel) {}

  start(): void {
    const meter = metrics.getMeter('@smartpulse/redis-cache');
    const messages = meter.createObservableCounter(CACHE_INSTRUMENTS.channelMessages);
    const gaps = meter.createObservableCounter(CACHE_INSTRUMENTS.channelGaps);
    const observe: BatchObservableCallback = (result) => {
      const stats = this.channel.stats();
      for (const outcome of ['published', 'publishFailures', 'received', 'handled', 'failed', 'dropped'] as const) {
        result.observe(messages, stats[outcome], { outcome });
      }
      result.observe(gaps, stats.gaps);
    };
    meter.addBatchObservableCallback(observe, [messages, gaps]);
    this.#stop = () => meter.removeBatchObservableCallback(observe, [messages, gaps]);
  }

  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}

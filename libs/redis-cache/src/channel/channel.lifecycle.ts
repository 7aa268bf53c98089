import type { OnModuleInit } from '@nestjs/common';
import type { ShutdownCoordinator } from '@smartpulse/resilience';
import type { CacheChannels } from './cache.channels.js';
import { ChannelTelemetry } from './channel.telemetry.js';

/** Stops the channels with their app: take nothing new, then finish what was taken, and disconnect last, since others publish until they have finished. */
export class ChannelLifecycle implements OnModuleInit {
  readonly #telemetry: ChannelTelemetry;

  constructor(channels: CacheChannels, shutdown: Pick<ShutdownCoordinator, 'register'>) {
    this.#telemetry = new ChannelTelemetry(channels);
    for (const [{ attributes }, channel] of channels.list()) {
      const name =
        attributes.connection === undefined ? 'redis-cache channel' : `redis-cache channel ${attributes.connection}`;
      shutdown.register({ name, phase: 'intake', stop: () => channel.endIntake() });
      shutdown.register({ name, phase: 'work', stop: ({ signal, timeoutMs }) => channel.drain({ signal, timeoutMs }) });
    }
    shutdown.register({
      name: 'redis-cache channel',
      phase: 'clients',
      stop: async () => {
        this.#telemetry.stop();
        await Promise.all(channels.list().map(([, channel]) => channel.close()));
      },
    });
  }

  onModuleInit(): void {
    this.#telemetry.start();
  }
}

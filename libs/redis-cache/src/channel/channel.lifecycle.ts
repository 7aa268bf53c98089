import type { OnModuleInit } from '@nestjs/common';
import type { ShutdownCoordinator } from '@smartpulse/resilience';
import type { CacheChannel } from './cache.channel.js';
import { ChannelTelemetry } from './channel.telemetry.js';

/** Stops a channel with its app: takes nothing new, then finishes what was taken, and disconnects last, since others publish until they have finished. */
export class ChannelLifecycle implements OnModuleInit {
  readonly #telemetry: ChannelTelemetry;

  constructor(channel: CacheChannel, shutdown: Pick<ShutdownCoordinator, 'register'>) {
    this.#telemetry = new ChannelTelemetry(channel);
    const name = 'redis-cache channel';
    shutdown.register({ name, phase: 'intake', stop: () => channel.endIntake() });
    shutdown.register({ name, phase: 'work', stop: ({ signal, timeoutMs }) => channel.drain({ signal, timeoutMs }) });
    shutdown.register({
      name,
      phase: 'clients',
      stop: async () => {
        this.#telemetry.stop();
        await channel.close();
      },
    });
  }

  onModuleInit(): void {
    this.#telemetry.start();
  }
}

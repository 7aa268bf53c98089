import { Controller, Get, Inject, Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { PulsarModule, PulsarPublisher, PulsarSubscribe } from '@smartpulse/pulsar';
import { enableGracefulShutdown, ResilienceModule, ShutdownCoordinator } from '@smartpulse/resilience';

const { PULSAR_URL: url = '', DRAIN_TOPIC: topic = '' } = process.env;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** An app with slow handlers and slow requests, both of which publish, that tells at its end what it did. */
@Injectable()
class Work implements OnApplicationShutdown {
  handled = 0;
  stored = 0;
  startedAfterStop = 0;

  constructor(
    @Inject(PulsarPublisher) readonly publisher: PulsarPublisher,
    @Inject(ShutdownCoordinator) readonly coordinator: ShutdownCoordinator,
  ) {}

  @PulsarSubscribe({ topic, subscription: 's', type: 'Key_Shared', concurrency: 4, initialPosition: 'earliest' })
  async handle(n: number): Promise<void> {
    this.startedAfterStop += this.coordinator.isStopping ? 1 : 0;
    process.stdout.write('handler begun\n');
    await pause(150);
    await this.store(n);
    this.handled++;
  }

  async store(n: number): Promise<void> {
    await this.publisher.publish(`${topic}-out`, n);
    this.stored++;
  }

  onApplicationShutdown(): void {
    const { handled, startedAfterStop, stored } = this;
    process.stdout.write(`told ${JSON.stringify({ handled, startedAfterStop, stored })}\n`);
  }
}

@Controller()
class Requests {
  constructor(@Inject(Work) private readonly work: Work) {}

  @Get('slow')
  async slow(): Promise<string> {
    process.stdout.write('request begun\n');
    await pause(1_000);
    await this.work.store(-1);
    return 'stored';
  }
}

@Module({
  imports: [
    ResilienceModule.forRoot(),
    PulsarModule.forRoot({ url, namespace: 'public/default', producer: { batching: false } }),
  ],
  providers: [Work],
  controllers: [Requests],
})
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: ['warn', 'error'] });
enableGracefulShutdown(app);
await app.listen(0, '127.0.0.1');
process.stdout.write(`listening ${await app.getUrl()}\n`);

/** A handler that fails twice before it books a reading, and one that does not: `npm run example pulsar`. */
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  Ctx,
  defineEvent,
  Payload,
  type PulsarContext,
  PulsarModule,
  PulsarPublisher,
  PulsarSubscribe,
} from '@smartpulse/pulsar';
import { enableGracefulShutdown, ResilienceModule } from '@smartpulse/resilience';
import { z } from 'zod';

const Reading = z.object({ unit: z.string(), megawatt: z.number() });
type Reading = z.infer<typeof Reading>;
const reading = defineEvent({ name: 'reading', topic: 'readings', schema: Reading, key: (event) => event.unit });

@Injectable()
class Ledger {
  @PulsarSubscribe({ topic: reading, subscription: 'ledger', type: 'Key_Shared', concurrency: 8, maxAttempts: 3 })
  book(@Payload() event: Reading, @Ctx() context: PulsarContext): void {
    if (event.megawatt < 0 && context.attempt < 3) {
      throw new Error('the meter is asleep, again please');
    }
    console.log(`${event.unit}: ${event.megawatt} MW at attempt ${context.attempt}`);
  }
}

@Module({
  imports: [
    ResilienceModule.forRoot(),
    PulsarModule.forRoot({ url: 'memory://', consumer: { backoff: { initialMs: 50 } } }),
  ],
  providers: [Ledger],
})
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule);
enableGracefulShutdown(app, { signals: false });
const publisher = app.get(PulsarPublisher);
await Promise.all([
  publisher.publish(reading, { unit: 'U-17', megawatt: 12.5 }),
  publisher.publish(reading, { unit: 'U-18', megawatt: -1 }),
]);
await new Promise((resolve) => setTimeout(resolve, 500));
await app.close();

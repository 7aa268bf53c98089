/** A Nest app with the health endpoints and one probe of its own, asked while its backlog grows: `npm run example health`. */
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { HealthModule } from '@smartpulse/health';
import { Clock, enableGracefulShutdown, HealthProbe, type ProbeResult, ResilienceModule } from '@smartpulse/resilience';

@Injectable()
class BacklogProbe extends HealthProbe {
  override readonly name = 'orders-backlog';
  waiting = 7;

  override check(): ProbeResult {
    return { status: this.waiting > 100 ? 'degraded' : 'up', details: { waiting: this.waiting } };
  }
}

@Module({
  imports: [ResilienceModule.forRoot(), HealthModule.forRoot({ intervalMs: 200 })],
  providers: [BacklogProbe],
})
class AppModule {}

const app = await NestFactory.create(AppModule, { logger: false });
enableGracefulShutdown(app, { signals: false });
await app.listen(0, '127.0.0.1');

async function ask(path: string): Promise<void> {
  // Probes are asked in the background: a change shows with the next round.
  await app.get(Clock).sleep(500);
  const response = await fetch(`${await app.getUrl()}${path}`);
  console.log(path, response.status, await response.text());
}

await ask('/health/live');
await ask('/health');
app.get(BacklogProbe).waiting = 250;
await ask('/health');
await ask('/health/ready'); // degraded is still ready
await app.close();

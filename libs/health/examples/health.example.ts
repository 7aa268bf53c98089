// A Nest app with the health endpoints and one probe of its own; run it and open http://127.0.0.1:3000/health
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { HealthModule } from '@smartpulse/health';
import { enableGracefulShutdown, HealthProbe, type ProbeResult, ResilienceModule } from '@smartpulse/resilience';

@Injectable()
class BacklogProbe extends HealthProbe {
  readonly name = 'orders-backlog';
  waiting = 0;

  override check(): ProbeResult {
    return { status: this.waiting > 100 ? 'degraded' : 'up', details: { waiting: this.waiting } };
  }
}

@Module({ imports: [ResilienceModule.forRoot(), HealthModule.forRoot()], providers: [BacklogProbe] })
class AppModule {}

const app = await NestFactory.create(AppModule);
enableGracefulShutdown(app, { readinessDelayMs: 2_000 });
await app.listen(3000, '127.0.0.1');

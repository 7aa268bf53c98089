/** Writes what an app sends and receives as `asyncapi.json`, without a broker: `npm run example pulsar`. */
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { defineEvent, PulsarAsyncApi, PulsarModule, PulsarSubscribe } from '@smartpulse/pulsar';
import { enableGracefulShutdown, ResilienceModule } from '@smartpulse/resilience';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';

const measured = defineEvent({
  name: 'measured',
  topic: 'measurements',
  schema: z.object({ unit: z.string(), megawatt: z.number() }),
  key: (event) => event.unit,
});
const alarm = defineEvent({ name: 'alarm', topic: 'alarms', schema: z.object({ unit: z.string(), text: z.string() }) });

@Injectable()
class Watch {
  @PulsarSubscribe({ topic: measured, subscription: 'watch', type: 'Key_Shared' })
  look(): void {}
}

@Module({
  imports: [ResilienceModule.forRoot(), PulsarModule.forRoot({ url: 'memory://', events: [alarm] })],
  providers: [Watch],
})
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
enableGracefulShutdown(app, { signals: false });
const api = app.get(PulsarAsyncApi);
const info = { title: 'watch', version: '1.0.0' };
const folder = await mkdtemp(join(tmpdir(), 'asyncapi-'));
await api.write(join(folder, 'asyncapi.json'), info);
console.log(`asyncapi.json has ${(await readFile(join(folder, 'asyncapi.json'))).length} bytes`);
for (const [name, { channel }] of Object.entries(api.document(info).operations)) {
  console.log(`${name} on ${channel.$ref}`);
}
await rm(folder, { recursive: true });
await app.close();

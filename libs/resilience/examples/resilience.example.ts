/** A policy by name around calls to a part that fails now and then, and the ordered stop of the app: `npm run example resilience`. */
import { Injectable, Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { enableGracefulShutdown, Resilient, ResilienceModule, ResilienceRegistry } from '@smartpulse/resilience';

@Injectable()
class StockClient {
  #asked = 0;

  @Resilient('stock')
  async find(id: string): Promise<string> {
    this.#asked += 1;
    if (this.#asked % 3 !== 0) {
      throw new Error('the stock is busy');
    }
    return `${id}: 12 pieces after ${this.#asked} attempts`;
  }
}

@Module({
  imports: [ResilienceModule.forRoot({ policies: { stock: { attemptTimeoutMs: 2_000, retry: { maxRetries: 3 } } } })],
  providers: [StockClient],
})
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule);
enableGracefulShutdown(app);
Logger.log(await app.get(StockClient).find('bolt'), 'Example');
Logger.log(JSON.stringify(app.get(ResilienceRegistry).list()), 'Example');
await app.close();

import { Inject, Injectable, type INestApplicationContext, Module, Scope, SetMetadata } from '@nestjs/common';
import { ContextIdFactory, ModuleRef, REQUEST } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { SyncMethodError, UnknownPolicyError, UnmanagedInstanceError } from '../resilience.errors.js';
import { ResilienceRegistry } from '../policy/policy.registry.js';
import { ResilienceModule } from '../resilience.module.js';
import { VirtualClock } from '../testing/virtual.clock.js';
import { Resilient } from './resilient.decorator.js';

const clock = new VirtualClock();
const policies = { stock: { retry: { initialMs: 100, jitter: 'none' } }, other: { retry: false } } as const;

@Injectable()
class StockClient {
  failures = 2;
  readonly asked: string[] = [];

  @SetMetadata('below', 1)
  @Resilient('stock')
  @SetMetadata('above', 2)
  async find(id: string, _page = 0): Promise<string> {
    this.asked.push(id);
    if (this.failures-- > 0) {
      throw new Error('boom');
    }
    return `stock ${id}`;
  }

  @Resilient('other')
  notAsync(): Promise<string> {
    return JSON.parse('"plain"');
  }
}

@Injectable()
class SpecialStockClient extends StockClient {}

@Injectable({ scope: Scope.REQUEST })
class RequestClient {
  constructor(@Inject(REQUEST) private readonly request: { id: number }) {}

  @Resilient('other')
  async who(): Promise<number> {
    return this.request.id;
  }
}

let app: INestApplicationContext | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
});

async function start(...providers: (new (...args: never[]) => object)[]): Promise<INestApplicationContext> {
  @Module({ imports: [ResilienceModule.forRoot({ clock, policies })], providers })
  class AppModule {}
  const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
  app = await module.init();
  return app;
}

describe('@Resilient', () => {
  it('runs the method again on the same instance with the same arguments', async () => {
    const client = (await start(StockClient)).get(StockClient);
    const found = client.find('a');
    await clock.advance(300);

    expect(await found).toBe('stock a');
    expect(client.asked).toEqual(['a', 'a', 'a']);
    expect(app?.get(ResilienceRegistry).get('stock').snapshot()).toMatchObject({ calls: 1, retries: 2 });
  });

  it('keeps name, length and metadata of the method, put on before or after it', () => {
    const method: (id: string) => unknown = Reflect.get(StockClient.prototype, 'find');

    expect([method.name, method.length]).toEqual(['find', 1]);
    expect(Reflect.getMetadata('below', method)).toBe(1);
    expect(Reflect.getMetadata('above', method)).toBe(2);
  });

  it('holds for inherited methods', async () => {
    const client = (await start(SpecialStockClient)).get(SpecialStockClient);
    client.failures = 0;

    expect(await client.find('a')).toBe('stock a');
  });

  it('uses the instance of each request', async () => {
    const context = await start(RequestClient);
    const ids = await Promise.all(
      [1, 2].map(async (id) => {
        const contextId = ContextIdFactory.create();
        const moduleRef = context.get(ModuleRef);
        moduleRef.registerRequestByContextId({ id }, contextId);
        const client = await moduleRef.resolve(RequestClient, contextId, { strict: false });
        return client.who();
      }),
    );

    expect(ids).toEqual([1, 2]);
  });

  it('refuses a method that answers no promise, and an object that Nest has not made', async () => {
    const client = (await start(StockClient)).get(StockClient);

    await expect(client.notAsync()).rejects.toThrow(SyncMethodError);
    await expect(new StockClient().find('a')).rejects.toThrow(UnmanagedInstanceError);
  });

  it('refuses to boot with a policy that is not there, also on a request-scoped provider, and names the method', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Misspelt {
      @Resilient('stok')
      async find(): Promise<void> {}
    }
    const booting = start(Misspelt);

    await expect(booting).rejects.toThrow(UnknownPolicyError);
    await expect(booting).rejects.toThrow(
      'There is no policy "stok" (used by @Resilient on Misspelt.find): known are "stock", "other".',
    );
  });
});

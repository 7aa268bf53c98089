import 'reflect-metadata';
import { registerHooks } from 'node:module';
import { Controller, Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ClientProxyFactory, EventPattern, Payload, type RedisOptions, Transport } from '@nestjs/microservices';
import type { Settings } from './job.ts';
import { bytesOf, Milestone, NotHere, type Subject, textOf } from './subject.ts';

// Nest's core, which lies in the workspace, looks for the package where it lies itself; the benchmarks have it among their peers.
registerHooks({
  resolve: (specifier, context, next) =>
    next(
      specifier,
      specifier.startsWith('@nestjs/microservices') ? { ...context, parentURL: import.meta.url } : context,
    ),
});

interface Envelope {
  readonly text: string;
}

/**
 * Nest's own way: an event emitted and handled over Redis' publish and subscribe. It keeps nothing and acknowledges nothing, so that it can
 * only be read while it is written; a send is settled when Redis has passed it on.
 */
export async function microservicesSubject(settings: Settings): Promise<Subject> {
  if (settings.redisPort === 0) {
    throw new NotHere('no redis-server is installed here');
  }
  Logger.overrideLogger(['error', 'warn']);
  const options = { host: '127.0.0.1', port: settings.redisPort };
  const client = ClientProxyFactory.create({ transport: Transport.REDIS, options });
  await client.connect();
  return {
    sender: async (topic) => ({
      send: (payload) =>
        new Promise<void>((resolve, reject) => {
          client.emit(topic, { text: textOf(payload) }).subscribe({ complete: resolve, error: reject });
        }),
      close: async () => {},
    }),
    receiver: async (topic, _subscription, onMessage) => {
      const handled = new Milestone();
      class Handler {
        async handle({ text }: Envelope): Promise<void> {
          onMessage(bytesOf(text));
          handled.passed();
        }
      }
      Controller()(Handler);
      Payload()(Handler.prototype, 'handle', 0);
      EventPattern(topic)(
        Handler.prototype,
        'handle',
        Object.getOwnPropertyDescriptor(Handler.prototype, 'handle') ?? {},
      );
      class AppModule {}
      Module({ controllers: [Handler] })(AppModule);
      const app = await NestFactory.createMicroservice<RedisOptions>(AppModule, {
        transport: Transport.REDIS,
        options,
      });
      await app.listen();
      return {
        settled: (messages) => handled.reached(messages),
        close: () => app.close(),
      };
    },
    close: async () => client.close(),
  };
}

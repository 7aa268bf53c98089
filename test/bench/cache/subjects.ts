import type { Open } from './subject.ts';

/** Each loads what it needs, and nobody else's. */
export const SUBJECTS: Readonly<Record<string, () => Promise<Open>>> = {
  ours: async () => (await import('./ours.ts')).ours(),
  'ours, freeze: false': async () => (await import('./ours.ts')).ours({ freeze: false }),
  'BentoCache, serialize: false': async () => (await import('./bento.ts')).bento(false),
  BentoCache: async () => (await import('./bento.ts')).bento(true),
  cacheable: async () => (await import('./cacheable.ts')).cacheable,
  '@nestjs/cache-manager': async () => (await import('./nest.ts')).nest,
  ioredis: async () => (await import('./bare.ts')).bareRedis,
  Map: async () => (await import('./bare.ts')).bareMap,
};

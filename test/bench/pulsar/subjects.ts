import { bareSubject } from './bare.ts';
import type { Settings } from './job.ts';
import { microservicesSubject } from './microservices.ts';
import { moduleSubject, type ModuleVariant } from './module.ts';
import { officialSubject } from './official.ts';
import type { Subject } from './subject.ts';

const USUAL: ModuleVariant = { handler: 'async', metrics: true, batching: true, batchKeyed: 'mixed', codec: 'bytes' };

/** The subjects by name. */
export const SUBJECTS: Readonly<Record<string, (settings: Settings) => Promise<Subject>>> = {
  'in-process, bare': (settings) => bareSubject('in-process', 'mixed', settings),
  'in-process, module': (settings) => moduleSubject('in-process', USUAL, settings),
  'in-process, module, synchronous handler': (settings) =>
    moduleSubject('in-process', { ...USUAL, handler: 'sync' }, settings),
  'in-process, module, no meter provider': (settings) =>
    moduleSubject('in-process', { ...USUAL, metrics: false }, settings),
  'wire, bare': (settings) => bareSubject('wire', 'mixed', settings),
  'wire, module': (settings) => moduleSubject('wire', USUAL, settings),
  'wire, module, no meter provider': (settings) => moduleSubject('wire', { ...USUAL, metrics: false }, settings),
  'wire, a batch for each key, bare': (settings) => bareSubject('wire', 'by-key', settings),
  'wire, a batch for each key, module': (settings) =>
    moduleSubject('wire', { ...USUAL, batchKeyed: 'by-key' }, settings),
  'wire, a batch for each key, module, no meter provider': (settings) =>
    moduleSubject('wire', { ...USUAL, batchKeyed: 'by-key', metrics: false }, settings),
  'wire, module, unbatched': (settings) => moduleSubject('wire', { ...USUAL, batching: false }, settings),
  'wire, module, JSON': (settings) => moduleSubject('wire', { ...USUAL, codec: 'json' }, settings),
  'WebSocket, bare': (settings) => bareSubject('websocket', 'mixed', settings),
  'WebSocket, module': (settings) => moduleSubject('websocket', USUAL, settings),
  'Redis, @nestjs/microservices, JSON': microservicesSubject,
  'pulsar-client, bare loop': officialSubject,
};

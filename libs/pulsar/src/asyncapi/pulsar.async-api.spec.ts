import { Injectable } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Ajv } from 'ajv';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { bytesCodec } from '../codec/pulsar-codec.js';
import { Payload } from '../decorators/handler-parameters.js';
import { PulsarSubscribe } from '../decorators/pulsar-subscribe.decorator.js';
import { defineEvent } from '../event/define-event.js';
import { startApp, testModule } from '../testing/test-app.js';
import type { AsyncApiDocument, DeclaredEvent } from './async-api-document.js';
import { PulsarAsyncApi } from './pulsar.async-api.js';

interface Tree {
  name: string;
  parts: Tree[];
}
const Tree: z.ZodType<Tree> = z.object({
  name: z.string(),
  get parts() {
    return z.array(Tree);
  },
});
const reading = defineEvent({
  name: 'reading',
  topic: 'readings',
  schema: z.object({ unit: z.string(), megawatt: z.number().min(0), at: z.coerce.date().optional() }),
  key: ({ unit }) => unit,
});
const readingV2 = defineEvent({
  name: 'reading',
  topic: 'readings',
  version: 2,
  schema: z.object({ unit: z.string(), kilowatt: z.number() }),
});
const plant = defineEvent({ name: 'plant/tree', topic: 'other/place/plants', schema: Tree });
const image = defineEvent({
  name: 'image',
  topic: 'images',
  schema: z.custom<Uint8Array>(),
  codec: bytesCodec,
});
const answer = { value: true };
const standard = (jsonSchema?: object) => ({
  '~standard': { version: 1 as const, vendor: 'other', validate: () => answer, ...(jsonSchema && { jsonSchema }) },
});
const told = defineEvent({
  name: 'told',
  topic: 'told',
  schema: standard({
    input: ({ target }: { target: string }) => ({ $schema: target, type: 'boolean', title: `by ${target}` }),
  }),
});
const untold = defineEvent({ name: 'untold', topic: 'untold', schema: standard() });

@Injectable()
class Ledger {
  @PulsarSubscribe({ topic: reading, subscription: 'ledger', type: 'Key_Shared', initialPosition: 'earliest' })
  book(@Payload() _reading: unknown): void {}

  @PulsarSubscribe({ topic: readingV2, subscription: 'ledger-2', deadLetter: false })
  bookNew(): void {}

  @PulsarSubscribe({ topic: 'free', subscription: 's' })
  listen(): void {}
}

const INFO = { title: 'ledger', version: '1.4.0' };

async function documentOf(events: readonly DeclaredEvent[], info = INFO): Promise<AsyncApiDocument> {
  const app = await startApp({ options: { events }, providers: [Ledger] });
  const document = app.app.get(PulsarAsyncApi).document(info);
  await app.close();
  return document;
}

/** What a reference leads to. */
function target(document: object, reference: string): unknown {
  return reference
    .slice(2)
    .split('/')
    .reduce<unknown>(
      (at, part) => (typeof at === 'object' && at !== null ? Reflect.get(at, part) : undefined),
      document,
    );
}

function references(value: unknown): string[] {
  return typeof value === 'object' && value !== null
    ? Object.entries(value).flatMap(([name, part]: [string, unknown]) =>
        name === '$ref' ? [String(part)] : references(part),
      )
    : [];
}

describe('PulsarAsyncApi', () => {
  const events = [told, reading, untold, plant, image];
  let document: AsyncApiDocument;
  let isAsyncApi: (value: unknown) => unknown;
  let problems: () => unknown;

  beforeAll(async () => {
    document = await documentOf(events);
    const file = createRequire(import.meta.url).resolve('@asyncapi/specs/schemas/3.0.0-without-$id.json');
    const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
    const validate = ajv.compile(JSON.parse(await readFile(file, 'utf8')) as object);
    isAsyncApi = validate;
    problems = () => validate.errors;
  });

  it('is a document by the schema of AsyncAPI 3.0', () => {
    expect(isAsyncApi(document), JSON.stringify(problems(), undefined, 1)).toBe(true);
    expect(isAsyncApi({ ...document, operations: { x: { action: 'shout', channel: {} } } })).toBe(false);
  });

  it('has no reference that leads nowhere', () => {
    const all = references(document);
    expect(all.length).toBeGreaterThan(15);
    expect(all.filter((reference) => target(document, reference) === undefined)).toEqual([]);
  });

  it('tells what the app sends, on which topics and with which schema', () => {
    expect(Object.keys(document.channels)).toEqual([
      'free',
      'images',
      'other.place.plants',
      'readings',
      'told',
      'untold',
    ]);
    expect(document.channels['readings']).toEqual({
      address: 'persistent://public/default/readings',
      messages: {
        'reading.v1': { $ref: '#/components/messages/reading.v1' },
        'reading.v2': { $ref: '#/components/messages/reading.v2' },
      },
      bindings: { pulsar: { namespace: 'default', persistence: 'persistent', bindingVersion: '0.1.0' } },
      'x-tenant': 'public',
    });
    expect(document.operations['send.reading.v1']).toEqual({
      action: 'send',
      channel: { $ref: '#/channels/readings' },
      messages: [{ $ref: '#/channels/readings/messages/reading.v1' }],
    });
    expect(document.operations['send.reading.v2']).toBeUndefined();
    expect(document.components.messages['reading.v2']).toMatchObject({ name: 'reading', 'x-version': 2 });
    expect(document.components.schemas['reading.v1']).toEqual({
      type: 'object',
      properties: {
        unit: { type: 'string' },
        megawatt: { type: 'number', minimum: 0 },
        at: { type: 'string', format: 'date-time' },
      },
      required: ['unit', 'megawatt'],
    });
  });

  it('tells what its handlers receive, and how they are subscribed', () => {
    expect(document.operations['receive.Ledger.book']).toEqual({
      action: 'receive',
      channel: { $ref: '#/channels/readings' },
      messages: [{ $ref: '#/channels/readings/messages/reading.v1' }],
      'x-pulsar': {
        handler: 'Ledger.book',
        subscription: 'ledger',
        subscriptionType: 'Key_Shared',
        initialPosition: 'earliest',
        durable: true,
        batch: false,
        retryTopic: null,
        deadLetterTopic: 'persistent://public/default/readings-ledger-DLQ',
      },
    });
    expect(document.operations['receive.Ledger.bookNew']?.['x-pulsar']?.deadLetterTopic).toBeNull();
    expect(document.operations['receive.Ledger.listen']).not.toHaveProperty('messages');
  });

  it('keeps a schema that refers to itself whole, and says so where there is none', () => {
    const { schemas } = document.components;
    expect(schemas['plant_2f_tree.v1']).toMatchObject({
      properties: { parts: { items: { $ref: '#/components/schemas/plant_2f_tree.v1' } } },
    });
    expect(schemas['told.v1']).toEqual({ type: 'boolean', title: 'by draft-07' });
    expect(schemas['untold.v1']).toEqual({ description: expect.stringContaining('other, which tells no JSON Schema') });
    expect(schemas['image.v1']).toEqual({ description: expect.stringContaining('application/octet-stream') });
  });

  it('is the same text for the same app, in whatever order events and handlers come', async () => {
    const again = await documentOf([...events].toReversed());
    expect(JSON.stringify(again)).toBe(JSON.stringify(document));
  });

  it('refuses two events of one name and version that are not the same', async () => {
    const other = defineEvent({ name: 'reading', topic: 'elsewhere', schema: z.object({ unit: z.number() }) });
    await expect(documentOf([reading, other])).rejects.toThrow(/"reading", version 1, stands for two/);
    const same = defineEvent({ ...reading, topic: 'copies' });
    expect(Object.keys((await documentOf([reading, same])).operations)).toContain('send.reading.v1-2');
  });

  it('checks the topics of events at start', async () => {
    const lost = defineEvent({ name: 'lost', topic: 'a b', schema: z.string() });
    const { module } = testModule({ options: { events: [lost] } });
    await expect(NestFactory.createApplicationContext(module, { logger: false, abortOnError: false })).rejects.toThrow(
      /events.0.topic/,
    );
  });

  describe('written to a file', () => {
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'asyncapi-'));
    });
    afterAll(() => rm(folder, { recursive: true }));

    it('is JSON that ends with a line break', async () => {
      const app = await startApp({ options: { events }, providers: [Ledger] });
      const file = join(folder, 'asyncapi.json');
      await app.app.get(PulsarAsyncApi).write(file, INFO);
      await app.close();
      const text = await readFile(file, 'utf8');
      expect(text).toMatch(/\n {2}"asyncapi": "3.0.0",[^]*\}\n$/);
      expect(JSON.parse(text)).toEqual(document);
    });
  });
});

import { AUTO_BATCH_WORKER_DEFAULTS, BATCH_DEFAULTS, PARTITIONED_QUEUE_DEFAULTS } from '@smartpulse/batch';
import { TRACKER_DEFAULTS } from '@smartpulse/cdc';
import { EMBEDDED_DATABASE_DEFAULTS } from '@smartpulse/cdc/embedded';
import { SQL_SERVER_CDC_DEFAULTS } from '@smartpulse/cdc/sql-server';
import { DATA_SYNC_DEFAULTS } from '@smartpulse/data-sync';
import { HEALTH_DEFAULTS } from '@smartpulse/health';
import {
  BATCH_HANDLER_DEFAULTS,
  CONSUMER_DEFAULTS,
  PATTERN_DEFAULTS,
  PAUSE_ON_DEFAULTS,
  PRODUCER_DEFAULTS,
  STARTUP_DEFAULTS,
  TELEMETRY_DEFAULTS,
} from '@smartpulse/pulsar';
import { IN_PROCESS_RETENTION } from '@smartpulse/pulsar/in-process';
import { CLIENT_DEFAULTS, WIRE_PRODUCER_DEFAULTS, WIRE_READER_DEFAULTS } from '@smartpulse/pulsar-wire';
import {
  CACHE_NAMESPACE_DEFAULTS,
  CACHE_TOPIC_DEFAULTS,
  FIELDS_NAMESPACE_DEFAULTS,
  REDIS_CACHE_DEFAULTS,
  SUBSCRIBE_DEFAULTS,
  TRANSACTIONS_DEFAULTS,
} from '@smartpulse/redis-cache';
import { EMBEDDED_CACHE_SERVER_DEFAULTS } from '@smartpulse/redis-cache/embedded';
import { BREAKER_DEFAULTS, RETRY_BUDGET_DEFAULTS, RETRY_DEFAULTS, SHUTDOWN_DEFAULTS } from '@smartpulse/resilience';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { anchorsOf, type Page, readPages, tableUnder } from './markdown.js';
import { mistakesOf, optionNames, pageProgram } from './page-program.js';
import { LIBRARIES, ROOT } from './source-tree.js';

/** Every table of options: whose page, under which heading, what the options are called in the source, and their defaults. */
const OPTION_TABLES: readonly (readonly [library: string, heading: string, type: string, defaults: object])[] = [
  ['batch', 'Options of `AutoBatchWorker`', 'AutoBatchWorkerOptions', AUTO_BATCH_WORKER_DEFAULTS],
  ['batch', 'Options of `AutoConcurrentPartitionedQueue`', 'PartitionedQueueOptions', PARTITIONED_QUEUE_DEFAULTS],
  ['batch', 'Options of `BatchModule.forRoot`', 'BatchModuleOptions', BATCH_DEFAULTS],
  ['cdc', 'Options of `CdcModule.forRoot`', 'CdcModuleOptions', {}],
  ['cdc', 'Tuning of trackers', 'TrackerDefaults', TRACKER_DEFAULTS],
  ['cdc', 'Options of `EmbeddedDatabase.open`', 'EmbeddedDatabaseOptions', EMBEDDED_DATABASE_DEFAULTS],
  ['cdc', 'Options of `sqlServerCdc`', 'SqlServerCdcOptions', SQL_SERVER_CDC_DEFAULTS],
  ['data-sync', 'Options of `DataSyncModule.forRoot`', 'DataSyncOptions', DATA_SYNC_DEFAULTS],
  ['health', 'Options of `HealthModule.forRoot`', 'HealthModuleOptions', HEALTH_DEFAULTS],
  ['pulsar', 'Options of `PulsarModule.forRoot`', 'PulsarModuleOptions', {}],
  ['pulsar', 'Options of `producer`', 'ProducerDefaults', PRODUCER_DEFAULTS],
  ['pulsar', 'Options of `consumer`', 'ConsumerDefaults', CONSUMER_DEFAULTS],
  ['pulsar', 'Options of a handler', 'ConsumerOptions', {}],
  ['pulsar', 'Options of `startup`', 'StartupOptions', STARTUP_DEFAULTS],
  ['pulsar', 'Options of `batch` of a handler', 'BatchDefaults', BATCH_HANDLER_DEFAULTS],
  ['pulsar', 'Options of `topicsPattern` of a handler', 'TopicsPattern', PATTERN_DEFAULTS],
  ['pulsar', 'Options of `pauseOn` of a handler', 'PauseOnDefaults', PAUSE_ON_DEFAULTS],
  ['pulsar', 'Options of `telemetry`', 'TelemetryOptions', TELEMETRY_DEFAULTS],
  ['pulsar', 'Options of `retention` of an `InProcessBroker`', 'InProcessRetention', IN_PROCESS_RETENTION],
  ['pulsar-wire', 'Options of `PulsarClient`', 'PulsarClientOptions', CLIENT_DEFAULTS],
  ['pulsar-wire', 'Options of `createProducer`', 'ProducerOptions', { ...WIRE_PRODUCER_DEFAULTS, batching: undefined }],
  ['pulsar-wire', 'Options of `batching`', 'BatchingOptions', WIRE_PRODUCER_DEFAULTS.batching],
  ['pulsar-wire', 'Options of `subscribe`', 'ConsumerOptions', {}],
  ['pulsar-wire', 'Options of `createReader`', 'ReaderOptions', WIRE_READER_DEFAULTS],
  ['redis-cache', 'Options of `RedisCacheModule.forRoot`', 'RedisCacheModuleOptions', REDIS_CACHE_DEFAULTS],
  ['redis-cache', 'Options of `defineCache`', 'CacheNamespaceOptions', CACHE_NAMESPACE_DEFAULTS],
  ['redis-cache', 'Options of `defineFieldsCache`', 'FieldsOptions', FIELDS_NAMESPACE_DEFAULTS],
  ['redis-cache', 'Options of `defineTopic`', 'CacheTopicOptions', CACHE_TOPIC_DEFAULTS],
  ['redis-cache', 'Options of `subscribe`', 'SubscribeOptions', SUBSCRIBE_DEFAULTS],
  ['redis-cache', 'Options of `transactions`', 'TransactionsOptions', TRANSACTIONS_DEFAULTS],
  ['redis-cache', 'Options of `EmbeddedCacheServer`', 'EmbeddedCacheServerOptions', EMBEDDED_CACHE_SERVER_DEFAULTS],
  ['resilience', 'Options of a policy', 'PolicyOptions', {}],
  ['resilience', 'Options of `retry`', 'RetryOptions', { ...RETRY_DEFAULTS, budget: RETRY_BUDGET_DEFAULTS }],
  ['resilience', 'Options of `breaker`', 'BreakerOptions', BREAKER_DEFAULTS],
  ['resilience', 'Options of the stop', 'ShutdownOptions', SHUTDOWN_DEFAULTS],
];

const pages = readPages();
const program = pageProgram(pages);
const scripts = Object.keys((readJson('package.json') as { scripts: object }).scripts);
const projects = Object.keys((readJson('nest-cli.json') as { projects: object }).projects);

describe('what the pages say', () => {
  it('is TypeScript that compiles, block by block, on the sources of the packages', () => {
    expect(pages.flatMap((page) => mistakesOf(program, page))).toEqual([]);
  });

  it('leads somewhere: every relative link has its file, every anchor its heading', () => {
    const byPath = new Map(pages.map((page) => [page.path, page]));
    const dead = pages.flatMap((page) =>
      linksOf(page)
        .filter(({ target }) => !/^[a-z]+:/.test(target))
        .filter(({ target }) => {
          const [file = '', anchor] = target.split('#');
          const path = file === '' ? page.path : relative(ROOT, join(ROOT, dirname(page.path), file));
          const there = byPath.get(path);
          return (
            !existsSync(join(ROOT, path)) ||
            (anchor !== undefined && (there === undefined || !anchorsOf(there).has(anchor)))
          );
        })
        .map(({ target, line }) => `${page.path}:${line} ${target}`),
    );
    expect(dead).toEqual([]);
  });

  it('names commands that there are', () => {
    const wrong = pages.flatMap((page) =>
      commandsOf(page).flatMap((text) => [
        ...[...text.matchAll(/\bnpm (?:run (?:--silent )?([\w:-]+)|(test|start)\b)/g)]
          .filter(([, name, short]) => !scripts.includes(name ?? short ?? ''))
          .map(([command]) => `${page.path}: ${command}`),
        ...[...text.matchAll(/\bnest (?:start|build) ([\w-]+)/g)]
          .filter(([, name = '']) => !projects.includes(name))
          .map(([command]) => `${page.path}: ${command}`),
      ]),
    );
    expect(wrong).toEqual([]);
    expect(pages.flatMap(commandsOf).filter((text) => text.includes('npm run ')).length).toBeGreaterThan(5);
  });

  it('names files that there are', () => {
    const wrong = pages.flatMap((page) =>
      page.prose.flatMap((text, index) =>
        [...text.matchAll(/`((?:[\w.-]+\/)+[\w.-]+\.(?:ts|mjs|json|yml|md))`/g)]
          .filter(
            ([, file = '']) => ![ROOT, join(ROOT, dirname(page.path))].some((from) => existsSync(join(from, file))),
          )
          .map(([, file]) => `${page.path}:${index + 1} ${file}`),
      ),
    );
    expect(wrong).toEqual([]);
  });
});

describe('the options on the page of a library', () => {
  it.each(OPTION_TABLES)('%s, %s: are those of %s, with their defaults', (library, heading, type, defaults) => {
    const rows = pages.filter(({ path }) => isOf(library, path)).flatMap((page) => tableUnder(page, heading));
    const told = new Map(rows.map(([name = '', value = '']) => [/^`(\w+)/.exec(name)?.[1] ?? name, value]));
    expect([...told.keys()].toSorted()).toEqual(optionNames(program, library, type).toSorted());
    for (const [name, value] of Object.entries(defaults).filter(([, one]) => one !== undefined)) {
      expect({ [name]: told.get(name) }).toEqual({ [name]: written(value) });
    }
  });

  it('is a table that is looked at here', () => {
    const looked = OPTION_TABLES.map(([library, heading]) => `${library}: ${heading}`);
    const found = pages.flatMap(({ path, prose }) =>
      prose.flatMap((line, index) => {
        const heading = prose.slice(0, index).findLast((before) => before.startsWith('#'));
        const library = LIBRARIES.find((one) => isOf(one, path)) ?? path;
        return /^\| option +\| default/.test(line) ? [`${library}: ${heading?.replace(/^#+ /, '') ?? ''}`] : [];
      }),
    );
    expect(found.toSorted()).toEqual(looked.toSorted());
  });
});

describe.each(LIBRARIES)('the example of %s', (library) => {
  const files = readdirSync(join(ROOT, 'libs', library, 'examples'));

  it('is where its page says', () => {
    const page = pages.find(({ path }) => path === `libs/${library}/README.md`);
    const linked = page === undefined ? [] : linksOf(page).map(({ target }) => target);
    expect(files.filter((file) => !linked.includes(`examples/${file}`))).toEqual([]);
  });

  it('runs to its end', async () => {
    const run = promisify(execFile)(process.execPath, ['tools/example.mjs', library], { cwd: ROOT, timeout: 50_000 });
    expect((await run).stdout).not.toBe('');
  });
});

/** What a reader may type: blocks of a shell, and code inside of sentences. */
function commandsOf({ blocks, prose }: Page): readonly string[] {
  return [
    ...blocks.filter(({ language }) => language === 'sh').flatMap(({ lines }) => lines),
    ...prose.flatMap((text) => [...text.matchAll(/`([^`]*)`/g)].map(([, code = '']) => code)),
  ];
}

/** Links in prose; what stands in code is none. */
function linksOf({ prose }: Page): readonly { readonly target: string; readonly line: number }[] {
  return prose.flatMap((text, index) => {
    const sentences = text.replaceAll(/`[^`]*`/g, (code) => (code.includes('](') ? '' : code));
    return [...sentences.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => ({ target, line: index + 1 }));
  });
}

/** How the pages write a default: `30,000`, `` `equal` ``, `no bound`, `initialMs 100, jitter `equal``. */
function written(value: unknown): string {
  if (typeof value === 'number') {
    return value === Number.POSITIVE_INFINITY ? 'no bound' : value.toLocaleString('en-US');
  }
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value)
      .map(([name, one]) => `${name} ${written(one)}`)
      .join(', ');
  }
  return value === undefined ? 'none' : `\`${value as string | boolean}\``;
}

/** The README of a library and the pages beside it. */
function isOf(library: string, path: string): boolean {
  return path.startsWith(`libs/${library}/`);
}

function readJson(file: string): unknown {
  return JSON.parse(readFileSync(join(ROOT, file), 'utf8'));
}

import { Logger } from '@nestjs/common';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { defineChange } from '../definition/change-contract.js';
import { changeEnvelope, messageContext, resyncEnvelope } from '../testing/messages.js';
import { ChangeFeed } from './change-feed.js';
import type { FeedResync, KeyChanges } from './key-changes.js';

const contract = defineChange({
  name: 'stock',
  topic: 'stock-changes',
  primaryKey: ['id'],
  schema: z.object({ id: z.number(), level: z.string().transform(Number) }),
  version: 1,
});
const change = (id: number, version: number) => ({
  pk: { id },
  version: String(version),
  row: { id, level: String(version) },
});

function setUp(options: { snapshots?: boolean; handledKeys?: number; fail?: () => Error | undefined } = {}) {
  const seen: KeyChanges[] = [];
  const resyncs: FeedResync[] = [];
  const feed = new ChangeFeed({
    contract,
    subscription: 'app-test',
    snapshots: options.snapshots ?? false,
    handledKeys: options.handledKeys ?? 100,
    onChange: async (changes) => {
      await Promise.resolve();
      const error = options.fail?.();
      if (error !== undefined) {
        throw error;
      }
      seen.push(changes);
    },
    onResync: [(event) => void resyncs.push(event)],
  });
  const versions = (): readonly bigint[] =>
    seen.flatMap(({ changes }) => changes.map(({ version }) => version.version));
  const context = messageContext({ properties: { 'sp-traceparent': TRACE } });
  return { feed, seen, resyncs, versions, context };
}

const TRACE = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

beforeAll(() => Logger.overrideLogger(false));

describe('ChangeFeed', () => {
  it('hands over the rows as the contract reads them', async () => {
    const { feed, seen, context } = setUp();
    const envelope = changeEnvelope([change(1, 7), { pk: { id: 2 }, version: '6', op: 'delete' }], {
      key: 'k',
      origin: 'me',
      committedAt: '2026-01-31T23:45:00.000Z',
    });
    expect(await feed.handle(envelope, context)).toBeUndefined();
    expect(seen).toEqual([
      {
        key: 'k',
        source: 'db',
        table: 'dbo.stock',
        stamp: { epoch: 1n, version: 7n },
        changes: [
          { pk: { id: 1 }, op: 'upsert', version: { epoch: 1n, version: 7n }, columns: null, row: { id: 1, level: 7 } },
          { pk: { id: 2 }, op: 'delete', version: { epoch: 1n, version: 6n }, columns: null, row: null },
        ],
        keysOnly: false,
        origin: 'me',
        traceparent: TRACE,
        committedAt: '2026-01-31T23:45:00.000Z',
        context,
      },
    ]);
  });

  it('leaves out changes older than the one handled for their primary key, and counts them', async () => {
    const { feed, versions, context } = setUp();
    await feed.handle(changeEnvelope([change(1, 7)]), context);
    await feed.handle(changeEnvelope([change(1, 6), change(2, 6)]), context);
    await feed.handle(changeEnvelope([change(1, 5)]), context);
    expect(versions()).toEqual([7n, 6n]);
    expect(feed.stats).toMatchObject({ delivered: 3, handled: 2, removed: 2 });
  });

  it('hands over an equal change again: at least once', async () => {
    const { feed, versions, context } = setUp();
    await feed.handle(changeEnvelope([change(1, 7)]), context);
    await feed.handle(changeEnvelope([change(1, 7)]), context);
    expect(versions()).toEqual([7n, 7n]);
  });

  it('leaves nothing out because of a handler that failed', async () => {
    let failures = 1;
    const { feed, versions, context } = setUp({ fail: () => (failures-- > 0 ? new Error('busy') : undefined) });
    await expect(feed.handle(changeEnvelope([change(1, 7)]), context)).rejects.toThrow('busy');
    await feed.handle(changeEnvelope([change(1, 6)]), context);
    expect(versions()).toEqual([6n]);
  });

  it('takes equal versions of two databases for different things', async () => {
    const { feed, versions, context } = setUp();
    await feed.handle(changeEnvelope([change(1, 7)], { source: 'a' }), context);
    await feed.handle(changeEnvelope([change(1, 3)], { source: 'b' }), context);
    expect(versions()).toEqual([7n, 3n]);
  });

  it('forgets the keys that were handled longest ago', async () => {
    const { feed, versions, context } = setUp({ handledKeys: 1 });
    await feed.handle(changeEnvelope([change(1, 7)]), context);
    await feed.handle(changeEnvelope([change(2, 8)]), context);
    await feed.handle(changeEnvelope([change(1, 6)]), context);
    expect(versions()).toEqual([7n, 8n, 6n]);
  });

  it('delivers snapshot rows only when asked for', async () => {
    const snapshot = changeEnvelope([{ ...change(1, 7), op: 'snapshot' }]);
    const without = setUp();
    await without.feed.handle(snapshot, without.context);
    expect(without.seen).toEqual([]);
    expect(without.feed.stats).toMatchObject({ snapshotsLeftOut: 1, handled: 0 });
    const asked = setUp({ snapshots: true });
    await asked.feed.handle(snapshot, asked.context);
    expect(asked.seen).toHaveLength(1);
  });

  it('delivers resync events always, heartbeats never', async () => {
    const { feed, resyncs, seen, context } = setUp();
    await feed.handle(resyncEnvelope('started', '8'), context);
    await feed.handle(changeEnvelope([], { kind: 'heartbeat', key: null, version: '9' }), context);
    await feed.handle(resyncEnvelope('completed', '9'), context);
    expect(resyncs.map(({ state, reason, stamp }) => [state, reason, stamp.version])).toEqual([
      ['started', 'tableTruncated', 8n],
      ['completed', 'tableTruncated', 9n],
    ]);
    expect(seen).toEqual([]);
  });

  it('dead-letters an envelope with a row that the schema refuses, without calling the handler', async () => {
    const { feed, seen, context } = setUp();
    const settlement = await feed.handle(changeEnvelope([{ ...change(1, 7), row: { id: 1 } }]), context);
    expect(settlement).toMatchObject({ settlement: 'deadLetter', reason: expect.stringContaining('level') as unknown });
    expect(seen).toEqual([]);
    expect(feed.stats.invalid).toBe(1);
  });
});

import type { IncomingMessage, PulsarContext } from '@smartpulse/pulsar';
import type { ChangeEnvelope, EnvelopeChange } from '../envelope/change-envelope.js';

/** An envelope of changes of `dbo.stock`; version and key follow from `changes` unless `overrides` says otherwise. */
export function changeEnvelope(
  changes: readonly (Partial<EnvelopeChange> & Pick<EnvelopeChange, 'pk' | 'version'>)[],
  overrides: Partial<ChangeEnvelope> = {},
): ChangeEnvelope {
  const complete = changes.map((change): EnvelopeChange => ({
    op: 'upsert',
    columns: null,
    row: change.op === 'delete' ? null : change.pk,
    ...change,
  }));
  const highest = complete.reduce((top, { version }) => (BigInt(version) > top ? BigInt(version) : top), 0n);
  return {
    format: 1,
    kind: 'change',
    schemaVersion: 1,
    source: 'db',
    table: 'dbo.stock',
    key: 'stock',
    epoch: '1',
    version: highest.toString(),
    changes: complete,
    keysOnly: false,
    fence: '1',
    seq: '1',
    prevSeq: null,
    origin: null,
    committedAt: null,
    resync: null,
    ...overrides,
  };
}

/** An envelope that tells of a resync of `dbo.stock`. */
export function resyncEnvelope(state: 'started' | 'completed', version: string): ChangeEnvelope {
  const empty = changeEnvelope([], { kind: 'resync', key: null, version });
  return { ...empty, resync: { state, reason: 'tableTruncated' } };
}

/** What a handler is told of a message, made up. */
export function messageContext(overrides: Partial<PulsarContext> = {}): PulsarContext {
  return {
    messageId: '1:0',
    topic: 'persistent://public/default/stock-changes',
    key: 'stock',
    properties: {},
    attempt: 1,
    redeliveryCount: 0,
    publishTimeMs: 0,
    eventTimeMs: undefined,
    signal: new AbortController().signal,
    ack: () => {},
    nack: () => {},
    deadLetter: () => {},
    ...overrides,
  };
}

/** A message as the broker would hand it out, made up. */
export function incomingMessage(overrides: Partial<IncomingMessage> = {}): IncomingMessage {
  return {
    id: { toString: () => '1:0' },
    topic: 'persistent://public/default/stock-changes',
    payload: new Uint8Array(),
    tombstone: false,
    key: undefined,
    orderingKey: undefined,
    properties: {},
    publishTimeMs: 0,
    eventTimeMs: undefined,
    redeliveryCount: 0,
    producerName: 'p',
    sequenceId: 0n,
    ...overrides,
  };
}

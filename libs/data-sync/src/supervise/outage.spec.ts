import { BacklogQuotaError, HandlerTimeoutError, PulsarError, TransportUnavailableError } from '@smartpulse/pulsar';
import { CacheStoreUnavailableError } from '@smartpulse/redis-cache';
import { describe, expect, it } from 'vitest';
import { RowNotReadableError, StampSourceSilentError } from '../data-sync.errors.js';
import { isOutage } from './outage.js';

const ofKind = (kind: PulsarError['kind']): PulsarError =>
  new PulsarError('SMARTPULSE_PULSAR_UNKNOWN', 'A broker said so.', { kind, remedy: 'None.', topic: 't' });

describe('isOutage', () => {
  it.each([
    new CacheStoreUnavailableError('get', undefined),
    new StampSourceSilentError(undefined),
    ofKind('transient'),
    ofKind('backpressure'),
    new BacklogQuotaError('t', 's'),
  ])('blames infrastructure for $name', (error) => {
    expect(isOutage(error)).toBe(true);
  });

  it.each([
    new Error('of the handler'),
    new RowNotReadableError('stock', 'no reason'),
    new HandlerTimeoutError('t', 30_000),
    ofKind('permanent'),
    new TransportUnavailableError('websocket', 'ws', 'pulsar://'),
    'no error at all',
  ])('blames the message or its handler for %s', (error) => {
    expect(isOutage(error)).toBe(false);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidServiceUrlError, InvalidTopicNameError } from '../../pulsar-wire.errors.js';
import { SERVER_ERRORS, serverError } from '../server-error.js';
import { parseServiceUrl } from './service-url.js';
import { baseTopic, parseTopicName, partitionTopic } from './topic-name.js';

describe('a topic name', () => {
  it.each([
    ['t', 'persistent://public/default/t'],
    ['acme/orders/t', 'persistent://acme/orders/t'],
    ['non-persistent://acme/orders/t', 'non-persistent://acme/orders/t'],
    ['persistent://acme/or-ders=1:2.3/über uns?#%', 'persistent://acme/or-ders=1:2.3/über uns?#%'],
  ])('%s is %s', (name, full) => {
    expect(parseTopicName(name).full).toBe(full);
  });

  it.each([
    '',
    'acme/orders',
    'acme/orders/a/b',
    'persistent://t',
    'persistent://acme/orders/',
    'persistent:///orders/t',
    'foo://acme/orders/t',
    'persistent://ac me/orders/t',
    'persistent://acme/orders/a\u0000b',
  ])('"%s" is none', (name) => {
    expect(() => parseTopicName(name)).toThrow(InvalidTopicNameError);
  });

  it('knows its partition and the topic that the partition belongs to', () => {
    const topic = parseTopicName('acme/orders/t');
    expect(topic.partition).toBe(-1);
    const partition = parseTopicName(partitionTopic(topic, 12));
    expect(partition.partition).toBe(12);
    expect(baseTopic(partition)).toBe(topic.full);
    expect(baseTopic(topic)).toBe(topic.full);
    expect(parseTopicName('t-partition-01').partition).toBe(-1);
    expect(parseTopicName('t-partition-x').partition).toBe(-1);
    expect(baseTopic(parseTopicName('t-partition-1-partition-2'))).toBe('persistent://public/default/t-partition-1');
  });

  it('gives a name or a typed error for any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        try {
          expect(parseTopicName(parseTopicName(text).full).full).toBe(parseTopicName(text).full);
        } catch (error) {
          if (!InvalidTopicNameError.is(error)) {
            throw error;
          }
        }
      }),
    );
  });
});

describe('a service URL', () => {
  it('names one or several addresses, with the ports of its scheme', () => {
    expect(parseServiceUrl('pulsar://localhost')).toEqual({
      tls: false,
      addresses: [{ host: 'localhost', port: 6650 }],
    });
    expect(parseServiceUrl('pulsar+ssl://a:1,b.c-d,[::1]:3,[fe80::1]/')).toEqual({
      tls: true,
      addresses: [
        { host: 'a', port: 1 },
        { host: 'b.c-d', port: 6651 },
        { host: '::1', port: 3 },
        { host: 'fe80::1', port: 6651 },
      ],
    });
  });

  it.each([
    '',
    'localhost',
    'http://a',
    'pulsar://',
    'pulsar://a,',
    'pulsar://a:0',
    'pulsar://a:65536',
    'pulsar://a:x',
    'pulsar://a/b',
    'pulsar://a?b',
    'pulsar://::1',
    'pulsar://a b',
  ])('"%s" is none', (url) => {
    expect(() => parseServiceUrl(url)).toThrow(InvalidServiceUrlError);
  });

  it('never shows a credential', () => {
    expect(() => parseServiceUrl('pulsar://me:secret@host')).toThrow(/credentials/);
    expect(() => parseServiceUrl('pulsar://me:secret@host')).not.toThrow(/secret/);
  });
});

describe('an error code of the broker', () => {
  it('has a name and says what to do, also one that is not known yet', () => {
    expect(SERVER_ERRORS).toHaveLength(26);
    expect(SERVER_ERRORS.every(({ code }, index) => code === index)).toBe(true);
    expect(serverError(6)).toEqual({ code: 6, name: 'ServiceNotReady', kind: 'transient' });
    expect(serverError(7).kind).toBe('backpressure');
    expect(serverError(16)).toEqual({ code: 16, name: 'ProducerBusy', kind: 'recreate' });
    expect(serverError(25)).toEqual({ code: 25, name: 'ProducerFenced', kind: 'permanent' });
    expect(serverError(99)).toEqual({ code: 99, name: 'Error99', kind: 'transient' });
  });
});

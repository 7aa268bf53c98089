import type { NamedConsumer } from '../consumer/pulsar.consumers.js';
import type { SubscriptionType } from '../transport/pulsar.transport.js';

const HEAD = ['handler', 'topic', 'subscription', 'type', 'concurrency', 'order', 'retries', 'dead letters'];

/** The handlers of an app, one line each, for the start log. */
export function handlerTable(consumers: readonly NamedConsumer[]): string {
  const rows = consumers.map((one) => [
    one.handlerName,
    one.topic,
    one.subscription,
    one.type,
    String(one.concurrency),
    one.retryTopic === undefined ? ORDER_OF_TYPE[one.type] : 'given up for retries',
    one.retryTopic ?? 'in their lane',
    one.deadLetterTopic ?? 'none',
  ]);
  const all = [HEAD, ...rows];
  const widths = HEAD.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return all
    .map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd())
    .join('\n');
}

const ORDER_OF_TYPE: Readonly<Record<SubscriptionType, string>> = Object.freeze({
  Exclusive: 'whole topic',
  Failover: 'whole topic',
  Key_Shared: 'per key',
  Shared: 'per key in this process',
});

import type { Attributes } from '@opentelemetry/api';

/** What a call does to a message, as the semantic conventions class it. */
export type OperationType = 'create' | 'send' | 'receive' | 'process' | 'settle';

/**
 * Attributes of an operation on a topic: of low cardinality, never a key, an id or a payload. In the order of their names: the SDK sorts those of every
 * duration that it records.
 */
export function messagingAttributes(
  name: string,
  type: OperationType,
  topic: string,
  subscription?: string,
): Attributes {
  return {
    'messaging.destination.name': topic,
    ...(subscription === undefined ? {} : { 'messaging.destination.subscription.name': subscription }),
    'messaging.operation.name': name,
    'messaging.operation.type': type,
    'messaging.system': 'pulsar',
  };
}

/** Attributes of the duration of handler runs, of which the conventions ask no operation type: it has a name of its own. */
export function processAttributes(topic: string, subscription: string): Attributes {
  return {
    'messaging.destination.name': topic,
    'messaging.destination.subscription.name': subscription,
    'messaging.operation.name': 'process',
    'messaging.system': 'pulsar',
  };
}

/** Attributes of Pulsar's own instruments, as its Java client has them: the topic is left out. */
export function pulsarAttributes(topic: string, subscription?: string): Attributes {
  const [tenant = '', namespace = ''] = topic.slice(topic.indexOf('://') + 3).split('/');
  return {
    'pulsar.tenant': tenant,
    'pulsar.namespace': `${tenant}/${namespace}`,
    ...(subscription === undefined ? {} : { 'pulsar.subscription': subscription }),
  };
}

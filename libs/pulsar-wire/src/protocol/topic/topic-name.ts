import { InvalidTopicNameError } from '../../pulsar-wire.errors.js';

/** Whether messages are stored. */
export type TopicDomain = 'persistent' | 'non-persistent';

/** A complete topic name and its parts. */
export interface TopicName {
  /** `persistent://tenant/namespace/topic`. */
  readonly full: string;
  readonly domain: TopicDomain;
  readonly tenant: string;
  readonly namespace: string;
  /** The last part, with the suffix of the partition if there is one. */
  readonly localName: string;
  /** The number of the partition; −1: the name is that of a whole topic. */
  readonly partition: number;
}

const ENTITY = /^[-=:.\w]+$/;
const PARTITION = /^(.+)-partition-(0|[1-9]\d{0,8})$/;

/**
 * Takes a topic name apart; `topic` and `tenant/namespace/topic` are completed as the official clients do.
 *
 * @throws {@link InvalidTopicNameError}
 */
export function parseTopicName(name: string): TopicName {
  const separator = name.indexOf('://');
  const domain = separator < 0 ? 'persistent' : name.slice(0, separator);
  if (domain !== 'persistent' && domain !== 'non-persistent') {
    throw new InvalidTopicNameError(name, 'the domain is neither "persistent" nor "non-persistent"');
  }
  const path = separator < 0 ? name : name.slice(separator + 3);
  const parts = path.split('/');
  if (parts.length === 1 && separator < 0) {
    parts.unshift('public', 'default');
  }
  const [tenant = '', namespace = '', localName = ''] = parts;
  if (parts.length !== 3) {
    throw new InvalidTopicNameError(name, `${parts.length} parts between slashes`);
  }
  if (!ENTITY.test(tenant) || !ENTITY.test(namespace)) {
    throw new InvalidTopicNameError(name, 'tenant and namespace hold letters, digits and any of - = : . _');
  }
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (localName === '' || /[\u0000-\u001f\u007f]/.test(localName)) {
    throw new InvalidTopicNameError(name, 'the last part is empty or holds control characters');
  }
  const partition = PARTITION.exec(localName)?.[2];
  return {
    full: `${domain}://${tenant}/${namespace}/${localName}`,
    domain,
    tenant,
    namespace,
    localName,
    partition: partition === undefined ? -1 : Number(partition),
  };
}

/** The full name of one partition of a topic. */
export function partitionTopic(topic: TopicName, partition: number): string {
  return `${topic.full}-partition-${partition}`;
}

/** The full name of the topic that a partition belongs to; any other name as it is. */
export function baseTopic(topic: TopicName): string {
  return topic.partition < 0 ? topic.full : topic.full.slice(0, topic.full.lastIndexOf('-partition-'));
}

import type { ProvisionOptions } from '../admin/provision-options.js';
import { checkOptions, ConfigurationError, type ConfigurationIssue } from '@smartpulse/resilience';
import {
  CONNECTION_DEFAULTS,
  CONSUMER_DEFAULTS,
  PRODUCER_DEFAULTS,
  type ProducerDefaults,
  STARTUP_DEFAULTS,
  TELEMETRY_DEFAULTS,
  type PulsarModuleOptions,
  pulsarOptionsSchema,
  type ResolvedPulsarOptions,
  type TransportName,
} from '../pulsar.options.js';
import { namespaceProblem, resolveTopicName } from './topic-name.js';

/** The transport that serves each URL scheme. */
const TRANSPORT_OF_SCHEME: Readonly<Record<string, TransportName | undefined>> = Object.freeze({
  'memory:': 'in-process',
  'pulsar:': 'wire',
  'pulsar+ssl:': 'wire',
  'ws:': 'websocket',
  'wss:': 'websocket',
});
const SCHEMES = 'memory://, pulsar://, pulsar+ssl://, ws:// or wss://';

/**
 * Checks the options of `forRoot` and fills in the defaults.
 *
 * @throws ConfigurationError that lists everything that is wrong.
 */
export function resolveOptions(owner: string, input: PulsarModuleOptions): ResolvedPulsarOptions {
  const options = checkOptions(owner, pulsarOptionsSchema, input);
  const scheme = /^([a-z+]+:)\/\//i.exec(options.url)?.[1]?.toLowerCase();
  const transportName = scheme === undefined ? undefined : TRANSPORT_OF_SCHEME[scheme];
  const issues: ConfigurationIssue[] = [];
  if (transportName === undefined) {
    // The value may carry a credential: only what is before "://" is shown.
    issues.push({
      option: 'url',
      problem: `${scheme === undefined ? 'found no scheme' : `found scheme ${scheme}//`}, expected ${SCHEMES}`,
    });
  } else if (scheme === 'memory:' && options.url.length > 'memory://'.length) {
    issues.push({
      option: 'url',
      problem: 'memory:// takes no host or path; pass a transport on a shared InProcessBroker to connect apps',
    });
  }
  if (options.namespace === undefined && scheme !== 'memory:') {
    issues.push({ option: 'namespace', problem: 'is missing, expected tenant/namespace outside memory://' });
  }
  const problem = options.namespace === undefined ? undefined : namespaceProblem(options.namespace);
  if (problem !== undefined) {
    issues.push({ option: 'namespace', problem });
  }
  const chosen = options.transport;
  if (typeof chosen === 'string' && transportName !== undefined && transportName !== 'wire') {
    issues.push({
      option: 'transport',
      problem: `is ${chosen}, which serves pulsar:// and pulsar+ssl:// and not ${scheme}//`,
    });
  }
  const own = typeof chosen === 'object' ? chosen : undefined;
  const offered = own !== undefined || scheme !== 'memory:';
  if (options.token !== undefined && !offered) {
    issues.push({ option: 'token', problem: 'is given to memory://, which has no authentication' });
  }
  const adminProblem = options.adminUrl === undefined ? undefined : adminUrlProblem(options.adminUrl);
  if (adminProblem !== undefined) {
    issues.push({ option: 'adminUrl', problem: adminProblem });
  }
  if (options.adminUrl !== undefined && !offered) {
    issues.push({
      option: 'adminUrl',
      problem: 'is given to memory://, whose broker is in this process and needs none',
    });
  }
  if (options.provision !== undefined && options.adminUrl === undefined && offered && own?.admin === undefined) {
    issues.push({ option: 'adminUrl', problem: 'is missing, expected one such as http://host:8080 to provision by' });
  }
  issues.push(...provisionIssues(options.provision, options.namespace ?? 'public/default'));
  const adminByTls = options.adminUrl?.startsWith('https:') === true;
  if (options.tls !== undefined && own === undefined && scheme !== 'pulsar+ssl:' && scheme !== 'wss:' && !adminByTls) {
    issues.push({ option: 'tls', problem: `is given to ${scheme ?? 'no scheme'}//, expected pulsar+ssl:// or wss://` });
  }
  if (options.ownTransport === true && own === undefined) {
    issues.push({ option: 'ownTransport', problem: 'is given without a transport' });
  }
  const namespace = options.namespace ?? 'public/default';
  const topics = topicsOf(options.producer?.topics, namespace);
  issues.push(...topics.issues);
  for (const [index, { topic }] of (options.events ?? []).entries()) {
    const { problem: found } = resolveTopicName(topic, namespace);
    if (found !== undefined) {
      issues.push({ option: `events.${index}.topic`, problem: found });
    }
  }
  if (issues.length > 0) {
    throw new ConfigurationError(owner, issues);
  }
  const keepsKeysApart = own === undefined ? transportName !== 'websocket' : own.capabilities.keyedBatching;
  return Object.freeze({
    url: options.url,
    transport: chosen ?? transportName ?? 'in-process',
    token: options.token,
    tls: options.tls,
    connectTimeoutMs: options.connectTimeoutMs ?? CONNECTION_DEFAULTS.connectTimeoutMs,
    operationTimeoutMs: options.operationTimeoutMs ?? CONNECTION_DEFAULTS.operationTimeoutMs,
    ownTransport: options.ownTransport ?? false,
    adminUrl: options.adminUrl,
    provision: options.provision,
    namespace,
    producer: Object.freeze({
      ...PRODUCER_DEFAULTS,
      // A broker spreads whole batches by their first key: where keys cannot be kept apart, messages travel alone unless told otherwise.
      batching: keepsKeysApart && own?.capabilities.batching !== false,
      batchKeyed: keepsKeysApart ? 'by-key' : 'mixed',
      ...given(options.producer),
      topics: topics.byName,
    }),
    consumer: Object.freeze({
      ...CONSUMER_DEFAULTS,
      ...given(options.consumer),
      backoff: Object.freeze({ ...CONSUMER_DEFAULTS.backoff, ...given(options.consumer?.backoff) }),
    }),
    applyGlobalEnhancers: options.applyGlobalEnhancers ?? false,
    events: Object.freeze([...(options.events ?? [])]),
    startup: Object.freeze({ ...STARTUP_DEFAULTS, ...given(options.startup) }),
    instanceId: options.instanceId,
    telemetry: Object.freeze({ ...TELEMETRY_DEFAULTS, ...given(options.telemetry) }),
  });
}

/** What is wrong with the addresses of the admin API, or `undefined`. The text never shows them: one may carry a credential. */
/** Names that are none, before anything is asked of the broker. */
function provisionIssues(provision: ProvisionOptions | undefined, namespace: string): ConfigurationIssue[] {
  const topics = (provision?.topics ?? []).map(({ topic }, index) => ({
    option: `provision.topics.${index}.topic`,
    problem: resolveTopicName(topic, namespace).problem,
  }));
  const namespaces = (provision?.namespaces ?? []).map(({ name }, index) => ({
    option: `provision.namespaces.${index}.name`,
    problem: namespaceProblem(name),
  }));
  return [...topics, ...namespaces].flatMap(({ option, problem }) =>
    problem === undefined ? [] : [{ option, problem }],
  );
}

function adminUrlProblem(text: string): string | undefined {
  const urls = text.split(',').map((url) => URL.parse(url.trim()));
  if (urls.some((url) => url?.protocol !== 'http:' && url?.protocol !== 'https:')) {
    return 'expected http://host:8080 or https://host:8443, several after commas';
  }
  return urls.some((url) => url?.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    ? 'carries more than host, port and path; credentials belong to token'
    : undefined;
}

type Topics = NonNullable<ProducerDefaults['topics']>;
type GivenTopics = { [T in keyof Topics]: { [K in keyof Topics[T]]: Topics[T][K] | undefined } };

/** The options of single topics by their full names. */
function topicsOf(
  topics: GivenTopics | undefined,
  namespace: string,
): { readonly byName: Topics | undefined; readonly issues: readonly ConfigurationIssue[] } {
  const byName = new Map<string, Topics[string]>();
  const issues: ConfigurationIssue[] = [];
  for (const [name, options] of Object.entries(topics ?? {})) {
    const { topic, problem } = resolveTopicName(name, namespace);
    if (topic === undefined) {
      issues.push({ option: `producer.topics["${name}"]`, problem });
    } else if (byName.has(topic)) {
      issues.push({ option: `producer.topics["${name}"]`, problem: `names ${topic} a second time` });
    } else {
      byName.set(topic, Object.freeze(given(options)));
    }
  }
  return { byName: byName.size === 0 ? undefined : Object.freeze(Object.fromEntries(byName)), issues };
}

/** Only what is not undefined, so that an explicit `undefined` means the default. */
export function given<T extends object>(options: T | undefined): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(options ?? {}).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

import { checkOptions, ConfigurationError, type ConfigurationIssue } from '@smartpulse/resilience';
import { TransportUnavailableError } from '../pulsar.errors.js';
import {
  CONSUMER_DEFAULTS,
  PRODUCER_DEFAULTS,
  type PulsarModuleOptions,
  pulsarOptionsSchema,
  type ResolvedPulsarOptions,
} from '../pulsar.options.js';
import { namespaceProblem } from './topic-name.js';

/** The transport that serves each URL scheme. */
const TRANSPORT_OF_SCHEME: Readonly<Record<string, string | undefined>> = Object.freeze({
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
 * @throws TransportUnavailableError when the URL is right and its transport is not built in.
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
  if (options.ownTransport === true && options.transport === undefined) {
    issues.push({ option: 'ownTransport', problem: 'is given without a transport' });
  }
  if (issues.length > 0) {
    throw new ConfigurationError(owner, issues);
  }
  if (transportName !== 'in-process' && options.transport === undefined) {
    throw new TransportUnavailableError(scheme ?? '', transportName ?? '');
  }
  return Object.freeze({
    url: options.url,
    transport: options.transport,
    ownTransport: options.ownTransport ?? false,
    namespace: options.namespace ?? 'public/default',
    producer: Object.freeze({ ...PRODUCER_DEFAULTS, ...given(options.producer) }),
    consumer: Object.freeze({
      ...CONSUMER_DEFAULTS,
      ...given(options.consumer),
      backoff: Object.freeze({ ...CONSUMER_DEFAULTS.backoff, ...given(options.consumer?.backoff) }),
    }),
    applyGlobalEnhancers: options.applyGlobalEnhancers ?? false,
  });
}

/** Only what is not undefined, so that an explicit `undefined` means the default. */
export function given<T extends object>(options: T | undefined): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(options ?? {}).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

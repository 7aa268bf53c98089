import { ConfigurationError, type StandardSchemaV1 } from '@smartpulse/resilience';
import type { InitialPosition, SubscriptionType } from '../transport/pulsar.transport.js';
import { type JsonSchema, payloadSchema } from './payload-schema.js';

/** What a document needs of an `EventContract`, whatever its type. */
export interface DeclaredEvent {
  readonly kind: 'event';
  readonly name: string;
  readonly topic: string;
  readonly version: number;
  readonly schema: StandardSchemaV1;
  readonly codec: { readonly contentType: string };
}

/** Who the document is of. */
export interface AsyncApiInfo {
  /** The application. */
  readonly title: string;
  /** Of the application's interface. */
  readonly version: string;
  readonly description?: string | undefined;
  /** Where the broker is, by name, without credentials. Default: none, since it differs from place to place. */
  readonly servers?: Readonly<Record<string, AsyncApiServer>> | undefined;
}

/** A broker in the document. */
export interface AsyncApiServer {
  /** `pulsar.example.org:6650`. */
  readonly host: string;
  /** `pulsar`, `pulsar+ssl`, `ws`, `wss`. */
  readonly protocol: string;
  readonly description?: string | undefined;
}

/** A reference within the document. */
export interface AsyncApiReference {
  readonly $ref: string;
}

/** A topic. */
export interface AsyncApiChannel {
  /** The full topic name. */
  readonly address: string;
  readonly messages?: Readonly<Record<string, AsyncApiReference>>;
  readonly bindings: {
    readonly pulsar: {
      readonly namespace: string;
      readonly persistence: 'persistent';
      readonly bindingVersion: string;
    };
  };
  /** Which the binding has no word for. */
  readonly 'x-tenant': string;
}

/** What the application does on a topic. */
export interface AsyncApiOperation {
  readonly action: 'send' | 'receive';
  readonly channel: AsyncApiReference;
  readonly messages?: readonly AsyncApiReference[];
  /** How a handler is subscribed. */
  readonly 'x-pulsar'?: {
    readonly handler: string;
    readonly subscription: string;
    readonly subscriptionType: SubscriptionType;
    readonly initialPosition: InitialPosition;
    readonly durable: boolean;
    /** Several messages at a time. */
    readonly batch: boolean;
    /** Where retries wait; `null`: in the process. */
    readonly retryTopic: string | null;
    readonly deadLetterTopic: string | null;
  };
}

/** An event. */
export interface AsyncApiMessage {
  readonly name: string;
  readonly title: string;
  readonly contentType: string;
  readonly payload: AsyncApiReference;
  /** The version of its schema. */
  readonly 'x-version': number;
}

/** An AsyncAPI 3.0 document, as far as applications on this package need it. */
export interface AsyncApiDocument {
  readonly asyncapi: '3.0.0';
  readonly info: { readonly title: string; readonly version: string; readonly description?: string };
  readonly servers?: Readonly<Record<string, AsyncApiServer>>;
  readonly defaultContentType: 'application/json';
  readonly channels: Readonly<Record<string, AsyncApiChannel>>;
  readonly operations: Readonly<Record<string, AsyncApiOperation>>;
  readonly components: {
    readonly messages: Readonly<Record<string, AsyncApiMessage>>;
    readonly schemas: Readonly<Record<string, JsonSchema>>;
  };
}

/** A handler as the document tells it. */
export interface DocumentedHandler {
  readonly handlerName: string;
  readonly event: DeclaredEvent | undefined;
  /** The full topic name. */
  readonly topic: string;
  readonly subscription: string;
  readonly type: SubscriptionType;
  readonly initialPosition: InitialPosition;
  readonly durable: boolean;
  readonly batch: boolean;
  readonly retryTopic: string | undefined;
  readonly deadLetterTopic: string | undefined;
}

/** What a document is made of. */
export interface DocumentParts {
  readonly info: AsyncApiInfo;
  /** `tenant/namespace` of short names. */
  readonly namespace: string;
  /** Published events with their full topic names. */
  readonly sent: readonly { readonly event: DeclaredEvent; readonly topic: string }[];
  readonly handlers: readonly DocumentedHandler[];
}

const BINDING_VERSION = '0.1.0';

/**
 * Makes the document: the same for the same parts, in whatever order they come.
 *
 * @throws ConfigurationError when two events have one name and version and are not the same.
 */
export function asyncApiDocument({ info, namespace, sent, handlers }: DocumentParts): AsyncApiDocument {
  const messages = new Map<string, { readonly message: AsyncApiMessage; readonly schema: JsonSchema }>();
  const channels = new Map<string, { readonly topic: string; readonly messages: Set<string> }>();
  const operations = new Map<string, AsyncApiOperation>();
  const onChannel = (
    topic: string,
    event: DeclaredEvent | undefined,
  ): { channel: string; message: string | undefined } => {
    const channel = channelId(topic, namespace);
    const known = channels.get(channel) ?? { topic, messages: new Set<string>() };
    channels.set(channel, known);
    const message = event === undefined ? undefined : addMessage(messages, event);
    if (message !== undefined) {
      known.messages.add(message);
    }
    return { channel, message };
  };
  for (const { event, topic } of sent) {
    const { channel, message } = onChannel(topic, event);
    operations.set(free(operations, `send.${message}`), operation('send', channel, message));
  }
  const byText = handlers.map((one) => ({ one, text: `${one.handlerName}\n${one.topic}\n${one.subscription}` }));
  for (const { one } of byText.toSorted((a, b) => order(a.text, b.text))) {
    const { channel, message } = onChannel(one.topic, one.event);
    operations.set(free(operations, `receive.${idOf(one.handlerName)}`), {
      ...operation('receive', channel, message),
      'x-pulsar': {
        handler: one.handlerName,
        subscription: one.subscription,
        subscriptionType: one.type,
        initialPosition: one.initialPosition,
        durable: one.durable,
        batch: one.batch,
        retryTopic: one.retryTopic ?? null,
        deadLetterTopic: one.deadLetterTopic ?? null,
      },
    });
  }
  return {
    asyncapi: '3.0.0',
    info: {
      title: info.title,
      version: info.version,
      ...(info.description === undefined ? {} : { description: info.description }),
    },
    ...(info.servers === undefined ? {} : { servers: info.servers }),
    defaultContentType: 'application/json',
    channels: sorted(channels, (channel) => channelOf(channel.topic, [...channel.messages])),
    operations: sorted(operations, (one) => one),
    components: {
      messages: sorted(messages, ({ message }) => message),
      schemas: sorted(messages, ({ schema }) => schema),
    },
  };
}

function addMessage(
  messages: Map<string, { readonly message: AsyncApiMessage; readonly schema: JsonSchema }>,
  event: DeclaredEvent,
): string {
  const id = `${idOf(event.name)}.v${event.version}`;
  const at = `#/components/schemas/${id}`;
  const made = {
    message: {
      name: event.name,
      title: `${event.name}, version ${event.version}`,
      contentType: event.codec.contentType,
      payload: { $ref: at },
      'x-version': event.version,
    },
    schema: payloadSchema(event.schema, event.codec.contentType, at),
  };
  const known = messages.get(id);
  if (known !== undefined && JSON.stringify(known) !== JSON.stringify(made)) {
    throw new ConfigurationError(
      'PulsarAsyncApi.document',
      [{ option: 'events', problem: `"${event.name}", version ${event.version}, stands for two different events` }],
      'Give one of them another name or another version.',
    );
  }
  messages.set(id, made);
  return id;
}

function channelOf(topic: string, messages: readonly string[]): AsyncApiChannel {
  const [tenant = '', namespace = ''] = topic.slice('persistent://'.length).split('/');
  return {
    address: topic,
    ...(messages.length === 0
      ? {}
      : {
          messages: Object.fromEntries(
            messages.toSorted(order).map((id) => [id, { $ref: `#/components/messages/${id}` }]),
          ),
        }),
    bindings: { pulsar: { namespace, persistence: 'persistent', bindingVersion: BINDING_VERSION } },
    'x-tenant': tenant,
  };
}

function operation(action: 'send' | 'receive', channel: string, message: string | undefined): AsyncApiOperation {
  const $ref = `#/channels/${channel}`;
  return {
    action,
    channel: { $ref },
    ...(message === undefined ? {} : { messages: [{ $ref: `${$ref}/messages/${message}` }] }),
  };
}

/** Topics of the app's namespace by their own name, others by their full one. */
function channelId(topic: string, namespace: string): string {
  const path = topic.slice('persistent://'.length);
  return idOf(path.startsWith(`${namespace}/`) ? path.slice(namespace.length + 1) : path.replaceAll('/', '.'));
}

/** What the document's keys and references may consist of; other characters become their code, so that names stay apart. */
function idOf(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9._-]/gu, (character) => `_${(character.codePointAt(0) ?? 0).toString(16)}_`);
}

/** The name itself, or with a number when it is taken. */
function free(taken: ReadonlyMap<string, unknown>, name: string): string {
  let id = name;
  for (let number = 2; taken.has(id); number++) {
    id = `${name}-${number}`;
  }
  return id;
}

function sorted<T, R>(parts: ReadonlyMap<string, T>, read: (part: T) => R): Readonly<Record<string, R>> {
  return Object.fromEntries([...parts].toSorted(([a], [b]) => order(a, b)).map(([id, part]) => [id, read(part)]));
}

/** By code units: the same on every machine, whatever its language. */
function order(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}

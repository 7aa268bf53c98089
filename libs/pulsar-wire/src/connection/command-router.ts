import { ConnectionError } from '../client/client.errors.js';
import type { ClientEvent } from '../client/client.options.js';
import type { Command, CommandFields, UnknownCommand } from '../protocol/command/commands.js';
import type { MessageHeader, SendReceipt } from '../protocol/frame/hot-commands.js';
import type { IntakeSlab } from '../protocol/frame/intake-slab.js';
import type { WireError } from '../pulsar-wire.errors.js';
import { BrokerRefusedError } from './broker-error.js';
import type { Connection } from './connection.js';
import type { PendingRequests } from './pending-requests.js';
import type { ConsumerPort, ProducerPort } from './ports.js';

/** An answer to a request. */
export type Answer = Command | UnknownCommand;

interface Successor {
  readonly assignedBrokerServiceUrl?: string | undefined;
  readonly assignedBrokerServiceUrlTls?: string | undefined;
}

/** Brings what the broker says to the request, producer or consumer that it is for. */
export class CommandRouter {
  readonly #producers = new Map<number, ProducerPort>();
  readonly #consumers = new Map<number, ConsumerPort>();

  constructor(
    private readonly connection: Connection,
    private readonly requests: PendingRequests<Answer>,
    private readonly emit: (event: ClientEvent) => void,
  ) {}

  addProducer(id: number, port: ProducerPort): void {
    this.#producers.set(id, port);
  }

  removeProducer(id: number, port: ProducerPort): void {
    if (this.#producers.get(id) === port) {
      this.#producers.delete(id);
    }
  }

  addConsumer(id: number, port: ConsumerPort): void {
    this.#consumers.set(id, port);
  }

  removeConsumer(id: number, port: ConsumerPort): void {
    if (this.#consumers.get(id) === port) {
      this.#consumers.delete(id);
    }
  }

  /** The connection is gone: every request is rejected, every port told. */
  end(cause: WireError): void {
    this.requests.rejectAll(cause);
    const gone = [...this.#producers.values(), ...this.#consumers.values()];
    this.#producers.clear();
    this.#consumers.clear();
    for (const port of gone) {
      port.onGone(this.connection, cause);
    }
  }

  receipt(receipt: SendReceipt): void {
    this.#producers.get(receipt.producerId)?.onReceipt(receipt);
  }

  entry(header: MessageHeader, bytes: Buffer, start: number, end: number, memory: IntakeSlab | undefined): void {
    this.#consumers.get(header.consumerId)?.onEntry(header, bytes, start, end, memory);
  }

  route(command: Answer): void {
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- what only clients send is as unexpected as what nobody knows
    switch (command.name) {
      case 'error':
        this.#onError(command.fields);
        return;
      case 'sendError':
        this.#producers.get(command.fields.producerId)?.onSendError(command.fields);
        return;
      case 'closeProducer':
        this.#closed(this.#producers, command.fields.producerId, command.fields);
        return;
      case 'closeConsumer':
        this.#closed(this.#consumers, command.fields.consumerId, command.fields);
        return;
      case 'topicMigrated': {
        const { resourceType, resourceId, brokerServiceUrl, brokerServiceUrlTls } = command.fields;
        this.#closed(resourceType === 0 ? this.#producers : this.#consumers, resourceId, {
          assignedBrokerServiceUrl: brokerServiceUrl,
          assignedBrokerServiceUrlTls: brokerServiceUrlTls,
        });
        return;
      }
      case 'activeConsumerChange':
        this.#consumers.get(command.fields.consumerId)?.onActiveChange(command.fields.isActive ?? false);
        return;
      case 'reachedEndOfTopic':
        this.#consumers.get(command.fields.consumerId)?.onEndOfTopic();
        return;
      case 'producerSuccess':
        if (command.fields.producerReady === false) {
          // The topic is another's for now; a second answer to the same request follows some day.
          this.requests.waitOn(command.fields.requestId);
        } else {
          this.requests.resolve(command.fields.requestId, command);
        }
        return;
      case 'ackResponse':
      case 'lookupResponse':
      case 'partitionedMetadataResponse':
        this.#settle(command, command.fields);
        return;
      case 'success':
      case 'getLastMessageIdResponse':
      case 'getTopicsOfNamespaceResponse':
      case 'consumerStatsResponse':
        this.requests.resolve(command.fields.requestId, command);
        return;
      default:
        this.#unexpected(command.name);
    }
  }

  #settle(
    command: Command,
    fields: {
      readonly requestId?: number | undefined;
      readonly error?: number | undefined;
      readonly message?: string | undefined;
    },
  ): void {
    const { requestId, error, message } = fields;
    if (requestId === undefined) {
      return;
    }
    if (error === undefined) {
      this.requests.resolve(requestId, command);
    } else {
      const name = this.requests.nameOf(requestId) ?? command.name;
      this.requests.reject(requestId, new BrokerRefusedError(name, error, message ?? ''));
    }
  }

  #onError({ requestId, error, message }: CommandFields<'error'>): void {
    const name = this.requests.nameOf(requestId);
    if (name === undefined) {
      // It answers a request that was given up, or concerns the connection, which the broker then closes by itself.
      this.#unexpected(`error ${error}`);
    } else {
      this.requests.reject(requestId, new BrokerRefusedError(name, error, message));
    }
  }

  #closed(ports: Map<number, ProducerPort> | Map<number, ConsumerPort>, id: number, successor: Successor): void {
    const port: ProducerPort | ConsumerPort | undefined = ports.get(id);
    ports.delete(id);
    const url = this.connection.tls ? successor.assignedBrokerServiceUrlTls : successor.assignedBrokerServiceUrl;
    port?.onGone(this.connection, new ConnectionError(this.connection.address, 'no longer serves the topic'), url);
  }

  #unexpected(command: string): void {
    this.emit({ type: 'unexpected-command', address: this.connection.address, command });
  }
}

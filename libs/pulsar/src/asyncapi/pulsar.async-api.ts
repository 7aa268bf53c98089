import { Inject, Injectable } from '@nestjs/common';
import { writeFile } from 'node:fs/promises';
import { PulsarConnection } from '../connection/pulsar.connection.js';
import { PulsarConsumers } from '../consumer/pulsar.consumers.js';
import { PULSAR_OPTIONS, type ResolvedPulsarOptions } from '../pulsar.options.js';
import { type AsyncApiDocument, asyncApiDocument, type AsyncApiInfo } from './async-api-document.js';

/**
 * What the app sends and receives, as an AsyncAPI 3.0 document: the events of `PulsarModule.forRoot({ events })` as what it sends, its handlers
 * as what it receives. Schemas are those of zod, or of any library with a Standard JSON Schema. No endpoint serves it: write it to a file, or
 * answer it where you like.
 *
 * Handlers are known when the app has started. On `url: 'memory://'` that needs no broker, so a build can do it.
 *
 * @example
 * ```ts
 * const app = await NestFactory.createApplicationContext(AppModule);
 * await app.init();
 * await app.get(PulsarAsyncApi).write('asyncapi.json', { title: 'ledger', version: '1.4.0' });
 * await app.close();
 * ```
 */
@Injectable()
export class PulsarAsyncApi {
  readonly #connection: PulsarConnection;
  readonly #consumers: PulsarConsumers;
  readonly #events: ResolvedPulsarOptions['events'];

  constructor(
    @Inject(PulsarConnection) connection: PulsarConnection,
    @Inject(PulsarConsumers) consumers: PulsarConsumers,
    @Inject(PULSAR_OPTIONS) options: ResolvedPulsarOptions,
  ) {
    this.#connection = connection;
    this.#consumers = consumers;
    this.#events = options.events;
  }

  /**
   * The document, the same for the same app.
   *
   * @throws ConfigurationError when two events have one name and version and are not the same.
   */
  document(info: AsyncApiInfo): AsyncApiDocument {
    return asyncApiDocument({
      info,
      namespace: this.#connection.namespace,
      sent: this.#events.map((event) => ({ event, topic: this.#connection.topicName(event.topic) })),
      handlers: this.#consumers.all.map((one) => one.described),
    });
  }

  /**
   * Writes the document as JSON: two spaces, one line break at the end, so that a difference in a repository is one of the interface.
   *
   * @throws ConfigurationError as {@link document}; what the file system throws.
   */
  async write(file: string, info: AsyncApiInfo): Promise<void> {
    await writeFile(file, `${JSON.stringify(this.document(info), undefined, 2)}\n`);
  }
}

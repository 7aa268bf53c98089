import type { HandOff } from '@smartpulse/cdc';
import { jsonCodec, type PulsarPublisher } from '@smartpulse/pulsar';
import type { SyncDefinition } from '../definition/sync-definition.js';
import { ENVELOPE_PROPERTIES } from '../envelope/envelope-properties.js';
import type { PoisonChange } from './key-groups.js';

/** What sinks need of the publisher. */
export type MessagePublisher = Pick<PulsarPublisher, 'publishMany' | 'flush' | 'keepLetters'>;

/** What is kept of a change that cannot travel: enough to find the row, and nothing of its content. */
export interface PoisonLetter {
  readonly source: string;
  readonly table: string;
  /** `null` where not even the primary key has a form on the wire. */
  readonly pk: PoisonChange['pk'] | null;
  readonly key: string | null;
  readonly op: string;
  /** Decimal text. */
  readonly epoch: string;
  /** Decimal text. */
  readonly version: string;
  /** Class and sentence of what went wrong. */
  readonly error: { readonly name: string; readonly message: string };
}

/** Keeps the letters of one sync's publisher on a topic of their own, `<topic>-publish-DLQ`. */
export class PoisonLetters {
  /** Short topic name. */
  readonly topic: string;
  readonly #publisher: MessagePublisher;
  readonly #codec = jsonCodec<PoisonLetter>();

  constructor(publisher: MessagePublisher, topic: string) {
    this.#publisher = publisher;
    this.topic = `${topic}-publish-DLQ`;
  }

  /** The name of a sync's letters. */
  static of(publisher: MessagePublisher, sync: SyncDefinition): PoisonLetters {
    return new PoisonLetters(publisher, sync.contract.topic);
  }

  /** Resolves when every letter is stored; a change is answered as poison only then. */
  async store(poison: readonly PoisonChange[], handOff: HandOff): Promise<void> {
    await this.#publisher.keepLetters(this.topic);
    const outcomes = await this.#publisher.publishMany(
      this.topic,
      poison.map((one) => ({
        data: letter(one, handOff),
        options: { codec: this.#codec, ...addressOf(one, handOff) },
      })),
    );
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        throw outcome.error;
      }
    }
  }
}

function letter({ change, error, key, pk }: PoisonChange, handOff: HandOff): PoisonLetter {
  return {
    source: handOff.source,
    table: handOff.table,
    pk: pk ?? null,
    key: key ?? null,
    op: change.operation,
    epoch: change.version.epoch.toString(),
    version: change.version.version.toString(),
    error: { name: error.name, message: error.message },
  };
}

function addressOf({ change, key }: PoisonChange, handOff: HandOff) {
  const properties = {
    [ENVELOPE_PROPERTIES.table]: handOff.table,
    [ENVELOPE_PROPERTIES.epoch]: change.version.epoch.toString(),
    [ENVELOPE_PROPERTIES.version]: change.version.version.toString(),
  };
  return key === undefined ? { properties } : { key, properties: { ...properties, [ENVELOPE_PROPERTIES.key]: key } };
}

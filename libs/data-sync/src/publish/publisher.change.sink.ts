import { type AcceptOutcome, ChangeSink, type FeedEvent, type HandOff, type RowChange } from '@smartpulse/cdc';
import type { PulsarTransport } from '@smartpulse/pulsar';
import { Logger } from '@nestjs/common';
import { UnencodableValueError } from '../data-sync.errors.js';
import type { SyncDefinition } from '../definition/sync-definition.js';
import { encodeEnvelope } from '../envelope/envelope.codec.js';
import { envelopeProperties } from '../envelope/envelope-properties.js';
import { ChangeEnvelopes, type EncodedEnvelope, type OversizedChanges, traceOf } from './change-envelopes.js';
import { encodedEnvelopeCodec } from '../envelope/envelope.pulsar.codec.js';
import { FeedNumbering } from './feed-numbering.js';
import { groupByKey, type KeyGroup, type PoisonChange } from './key-groups.js';
import { type MessagePublisher, PoisonLetters } from './poison-letters.js';
import type { PublishStats } from './publish.stats.js';

const ACCEPTED: AcceptOutcome = Object.freeze({ status: 'accepted' });

/** An envelope on its way; one of the feed itself has no changes. */
type SentEnvelope = Pick<EncodedEnvelope, 'envelope' | 'payload'> & Partial<Pick<EncodedEnvelope, 'changes'>>;

/** What a sink needs to know of the broker. */
export type Broker = Pick<PulsarTransport, 'brokerInstance' | 'capabilities'>;

/** The place of the last envelope that this publisher numbered. */
export interface FeedPosition {
  readonly fence: string;
  readonly seq: string;
}

/**
 * Hands the changes of one table to its topic: one envelope per key and page, the message key is the envelope's key.
 *
 * It promises what `ChangeSink` asks: `accept` resolves when the broker has stored every envelope, and the dead letter of every poison
 * change. A change that cannot be projected is replaced by its key alone, so that caches drop what they hold; one whose primary key has no room in a message
 * by the stamp alone, in the properties of a message with nothing inside.
 */
export class ChangePublisher extends ChangeSink {
  readonly #logger = new Logger(ChangePublisher.name);
  readonly #sync: SyncDefinition;
  readonly #publisher: MessagePublisher;
  readonly #transport: Broker;
  readonly #envelopes: ChangeEnvelopes;
  readonly #letters: PoisonLetters;
  #stats = {
    publishedEnvelopes: 0,
    publishedChanges: 0,
    controlEnvelopes: 0,
    keysOnly: 0,
    poison: 0,
    failures: 0,
    inFlight: 0,
  };
  #position: FeedPosition | undefined;

  constructor(sync: SyncDefinition, publisher: MessagePublisher, transport: Broker) {
    super();
    this.#sync = sync;
    this.#publisher = publisher;
    this.#transport = transport;
    this.#envelopes = new ChangeEnvelopes(sync, new FeedNumbering(), transport.capabilities.maxPayloadBytes);
    this.#letters = PoisonLetters.of(publisher, sync);
  }

  /** The broker's: another one at start means that what was accepted is gone. */
  override get instance(): string {
    return this.#transport.brokerInstance;
  }

  /** Counts since the app began. */
  get stats(): PublishStats {
    return { ...this.#stats };
  }

  /** The last stored place of the feed; `undefined` before the first. */
  get position(): FeedPosition | undefined {
    return this.#position;
  }

  override async accept(changes: readonly RowChange[], handOff: HandOff): Promise<readonly AcceptOutcome[]> {
    return await this.#counted(async () => {
      const { groups, poison } = groupByKey(this.#sync, changes);
      const unpublishable: PoisonChange[] = [...poison];
      const envelopes: EncodedEnvelope[] = [];
      for (const group of groups) {
        const packed = this.#envelopes.pack(group, handOff);
        envelopes.push(...packed.envelopes);
        for (const oversized of packed.oversized) {
          const { changes: large } = oversized;
          envelopes.push(this.#stampAlone(group, oversized, handOff));
          unpublishable.push(...large.map((one) => ({ ...one, key: group.key, pk: one.wire.pk, error: tooLarge() })));
        }
      }
      envelopes.push(...poison.flatMap((one) => this.#keyAlone(one, handOff)));
      if (unpublishable.length > 0) {
        await this.#letters.store(unpublishable, handOff);
      }
      await this.#publish(envelopes);
      this.#count(envelopes, unpublishable);
      return outcomes(changes.length, unpublishable);
    });
  }

  override async announce(event: FeedEvent, handOff: HandOff): Promise<void> {
    await this.#counted(async () => {
      const envelope = this.#envelopes.control(event, handOff);
      await this.#send([{ envelope, payload: encodeEnvelope(envelope) }]);
      this.#stats.controlEnvelopes++;
    });
  }

  #keyAlone(poison: PoisonChange, handOff: HandOff): readonly EncodedEnvelope[] {
    const { key, pk, change, index } = poison;
    if (key === undefined || pk === undefined) {
      this.#logger.error(
        `A change of ${handOff.table} at version ${change.version.version} has no key and cannot be invalidated: ${poison.error.message}`,
      );
      return [];
    }
    const wire = {
      pk,
      op: change.operation,
      version: change.version.version.toString(),
      columns: change.changedColumns,
      row: null,
    };
    const group = { key, epoch: change.version.epoch, changes: [{ index, change, wire }] };
    const { changes } = group;
    return [this.#envelopes.keyAlone(group, handOff) ?? this.#stampAlone(group, { changes, bytes: 0 }, handOff)];
  }

  #stampAlone(group: KeyGroup, oversized: OversizedChanges, handOff: HandOff): EncodedEnvelope {
    this.#logger.error(
      `No message has room for the primary key of a change of ${handOff.table} at version ${oversized.changes[0]?.change.version.version}: it is kept as a dead letter, and its key is invalidated by a message with nothing inside.`,
    );
    return this.#envelopes.stampAlone(group, oversized, handOff);
  }

  async #publish(envelopes: readonly EncodedEnvelope[]): Promise<void> {
    if (envelopes.length > 0) {
      await this.#send(envelopes);
    }
  }

  async #send(items: readonly SentEnvelope[]): Promise<void> {
    const { topic } = this.#sync.contract;
    const results = await this.#publisher.publishMany(
      topic,
      items.map(({ envelope, payload, changes = [] }) => ({
        data: payload,
        options: {
          codec: encodedEnvelopeCodec,
          properties: envelopeProperties(envelope, traceOf(changes)),
          ...(envelope.key === null ? {} : { key: envelope.key }),
        },
      })),
    );
    await this.#publisher.flush(topic);
    for (const result of results) {
      if (result.status === 'rejected') {
        throw result.error;
      }
    }
    const last = items.at(-1)?.envelope;
    if (last !== undefined) {
      this.#position = { fence: last.fence, seq: last.seq };
    }
  }

  #count(envelopes: readonly EncodedEnvelope[], poison: readonly PoisonChange[]): void {
    this.#stats.publishedEnvelopes += envelopes.length;
    this.#stats.publishedChanges += envelopes.reduce((sum, { changes }) => sum + changes.length, 0);
    this.#stats.keysOnly += envelopes.filter(({ envelope }) => envelope.keysOnly).length;
    this.#stats.poison += poison.length;
  }

  async #counted<T>(work: () => Promise<T>): Promise<T> {
    this.#stats.inFlight++;
    try {
      return await work();
    } catch (error) {
      this.#stats.failures++;
      throw error;
    } finally {
      this.#stats.inFlight--;
    }
  }
}

function outcomes(count: number, poison: readonly PoisonChange[]): readonly AcceptOutcome[] {
  const answer = Array.from({ length: count }, () => ACCEPTED);
  for (const { index, error } of poison) {
    answer[index] = { status: 'poison', error };
  }
  return answer;
}

function tooLarge(): Error {
  return new UnencodableValueError('(primary key)', 'more bytes than a message may have');
}

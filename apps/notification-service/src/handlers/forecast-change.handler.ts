import { Inject, Injectable, Logger } from '@nestjs/common';
import { type KeyChanges, toEntryVersion } from '@smartpulse/data-sync';
import { type ForecastKey, type ForecastRow } from '@smartpulse/production-forecast-contract';
import { DataSource } from 'typeorm';
import { NotificationDelivery } from '../delivery/notification.delivery.js';
import { type Correction, correctionNotification, isBeyondThreshold } from '../rules/correction.rule.js';
import { type ResolvedRuleOptions } from '../rules/rule.options.js';
import { RULE_OPTIONS } from '../rules/rule.token.js';
import { deliveryKey, KnownValueStore, type StampedRow } from '../store/known-value.store.js';
import { NotificationStore } from '../store/notification.store.js';

/** Deliveries whose last value is remembered; above it the earliest are forgotten, and their corrections go unnoticed. */
const MAX_KNOWN_VALUES = 1_000_000;

/** Looks for corrections in the changes of forecasts; `handlersOf` subscribes it. */
@Injectable()
export class ForecastChangeHandler {
  readonly #logger = new Logger(ForecastChangeHandler.name);

  constructor(
    @Inject(DataSource) private readonly dataSource: DataSource,
    @Inject(KnownValueStore) private readonly known: KnownValueStore,
    @Inject(NotificationStore) private readonly notifications: NotificationStore,
    @Inject(NotificationDelivery) private readonly delivery: Pick<NotificationDelivery, 'hand'>,
    @Inject(RULE_OPTIONS) private readonly rules: ResolvedRuleOptions,
  ) {}

  /**
   * Values, stamps and the notification are stored in one transaction, so a change that comes again finds its own stamp and says nothing.
   * Rows found by a bootstrap count like changes: a correction that happened while nobody listened is one.
   */
  async handle(changes: KeyChanges<ForecastRow, ForecastKey>): Promise<void> {
    if (changes.keysOnly) {
      this.#logger.warn(
        'A change came without its rows (too large for the broker): its corrections are not looked at.',
      );
    }
    const rows = changes.changes.flatMap(({ row, version }) =>
      row !== null && this.rules.correctionProviders.includes(row.provider)
        ? [{ row, stamp: toEntryVersion(version).toString() }]
        : [],
    );
    if (rows.length === 0) {
      return;
    }
    const added = await this.dataSource.transaction(async (manager) => {
      const known = await this.known.load(manager, rows);
      const newer = rows.filter(({ row, stamp }) => stamp > (known.get(deliveryKey(row))?.stamp ?? ''));
      await this.known.save(manager, newer);
      await this.known.prune(manager, MAX_KNOWN_VALUES);
      const draft = correctionNotification(this.#corrections(newer, known));
      return draft === undefined ? undefined : this.notifications.add(manager, draft);
    });
    if (added !== undefined) {
      await this.delivery.hand(added);
    }
  }

  #corrections(
    rows: readonly StampedRow[],
    known: Awaited<ReturnType<KnownValueStore['load']>>,
  ): readonly Correction[] {
    return rows
      .flatMap(({ row, stamp }) => {
        const previous = known.get(deliveryKey(row));
        const correction = { row, stamp, previousHundredths: previous?.valueHundredths ?? 0 };
        return previous !== undefined && isBeyondThreshold(correction, this.rules) ? [correction] : [];
      })
      .sort((a, b) => (a.row.deliveryStart < b.row.deliveryStart ? -1 : 1));
  }
}

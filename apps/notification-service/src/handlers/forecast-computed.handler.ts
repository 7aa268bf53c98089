import { Inject, Injectable } from '@nestjs/common';
import { type ForecastComputed } from '@smartpulse/production-forecast-contract';
import { DataSource } from 'typeorm';
import { NotificationDelivery } from '../delivery/notification.delivery.js';
import { missingIntervalNotification } from '../rules/missing-interval.rule.js';
import { type ResolvedRuleOptions } from '../rules/rule.options.js';
import { RULE_OPTIONS } from '../rules/rule.token.js';
import { NotificationStore } from '../store/notification.store.js';

/** Looks for holes when forecasts were computed; `handlersOf` subscribes it. */
@Injectable()
export class ForecastComputedHandler {
  constructor(
    @Inject(DataSource) private readonly dataSource: DataSource,
    @Inject(NotificationStore) private readonly notifications: NotificationStore,
    @Inject(NotificationDelivery) private readonly delivery: Pick<NotificationDelivery, 'hand'>,
    @Inject(RULE_OPTIONS) private readonly rules: ResolvedRuleOptions,
  ) {}

  async handle(event: ForecastComputed): Promise<void> {
    const draft = missingIntervalNotification(event, this.rules);
    if (draft === undefined) {
      return;
    }
    const added = await this.dataSource.transaction((manager) => this.notifications.add(manager, draft));
    if (added !== undefined) {
      await this.delivery.hand(added);
    }
  }
}

import { Injectable, type Type } from '@nestjs/common';
import { type KeyChanges, OnChange } from '@smartpulse/data-sync';
import {
  type ForecastComputed,
  type ForecastContracts,
  type ForecastKey,
  type ForecastRow,
} from '@smartpulse/production-forecast-contract';
import { Payload, PulsarSubscribe } from '@smartpulse/pulsar';
import { ForecastChangeHandler } from './forecast-change.handler.js';
import { ForecastComputedHandler } from './forecast-computed.handler.js';

/** The app's handlers, subscribed to the topics of one installation: which one is known when the app is made, not when classes are. */
export function handlersOf({ change, computed }: ForecastContracts): readonly Type[] {
  @Injectable()
  class ForecastChanges extends ForecastChangeHandler {
    @OnChange(change, { subscription: 'notifier', snapshots: true, concurrency: 8 })
    override handle(changes: KeyChanges<ForecastRow, ForecastKey>): Promise<void> {
      return super.handle(changes);
    }
  }

  @Injectable()
  class ForecastsComputed extends ForecastComputedHandler {
    @PulsarSubscribe({
      topic: computed,
      subscription: 'notification-service-intervals',
      type: 'Key_Shared',
      initialPosition: 'earliest',
      concurrency: 8,
    })
    override handle(@Payload() event: ForecastComputed): Promise<void> {
      return super.handle(event);
    }
  }

  return [ForecastChanges, ForecastsComputed];
}

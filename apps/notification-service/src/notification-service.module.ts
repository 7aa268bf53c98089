import { type DynamicModule, Module, type ModuleMetadata } from '@nestjs/common';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import { BatchModule } from '@smartpulse/batch';
import { DataSyncModule } from '@smartpulse/data-sync';
import { HealthModule } from '@smartpulse/health';
import { forecastContracts } from '@smartpulse/production-forecast-contract';
import { PulsarModule, type PulsarModuleOptions } from '@smartpulse/pulsar';
import { InProcessBroker, InProcessTransport } from '@smartpulse/pulsar/in-process';
import { checkOptions, ResilienceModule } from '@smartpulse/resilience';
import { DataSource } from 'typeorm';
import { LogNotifier } from './delivery/log.notifier.js';
import { NotificationDelivery } from './delivery/notification.delivery.js';
import { Notifier } from './delivery/notifier.js';
import { handlersOf } from './handlers/handlers-of.js';
import { NotificationsController } from './http/notifications.controller.js';
import { type NotificationServiceParts } from './notification-service.parts.js';
import { ruleOptionsSchema } from './rules/rule.options.js';
import { RULE_OPTIONS } from './rules/rule.token.js';
import { KnownValueStore } from './store/known-value.store.js';
import { notificationDataSource } from './store/notification.data-source.js';
import { NotificationStore } from './store/notification.store.js';

/** The app's stable name: prefix of its subscriptions. */
const APP = 'notification-service';

/** NotificationService: forecast changes and events become notifications. */
@Module({})
export class NotificationServiceModule {
  /**
   * One replica on the given parts.
   *
   * @throws ConfigurationError when a rule option is wrong.
   * @example
   * ```ts
   * const app = await NestFactory.create(NotificationServiceModule.forRoot({ database, broker, rules: { correctionMegawatts: 10 } }));
   * ```
   */
  static forRoot(parts: NotificationServiceParts): DynamicModule {
    return {
      module: NotificationServiceModule,
      imports: infrastructure(parts),
      controllers: [NotificationsController],
      providers: [
        { provide: DataSource, useExisting: getDataSourceToken(dataSourceName(parts)) },
        {
          provide: RULE_OPTIONS,
          useValue: checkOptions('NotificationServiceModule.forRoot (rules)', ruleOptionsSchema, parts.rules ?? {}),
        },
        parts.notifier === undefined
          ? { provide: Notifier, useClass: LogNotifier }
          : { provide: Notifier, useValue: parts.notifier },
        NotificationStore,
        KnownValueStore,
        NotificationDelivery,
        ...handlersOf(forecastContracts(parts.installation)),
      ],
    };
  }
}

function infrastructure(parts: NotificationServiceParts): NonNullable<ModuleMetadata['imports']> {
  return [
    ResilienceModule.forRoot({
      ...(parts.clock === undefined ? {} : { clock: parts.clock }),
      ...(parts.random === undefined ? {} : { random: parts.random }),
    }),
    BatchModule.forRoot(),
    TypeOrmModule.forRoot(notificationDataSource(parts.database, dataSourceName(parts))),
    PulsarModule.forRoot(pulsarOptions(parts)),
    DataSyncModule.forRoot({ app: APP }),
    HealthModule.forRoot(),
  ];
}

function pulsarOptions({ broker }: NotificationServiceParts): PulsarModuleOptions {
  return broker instanceof InProcessBroker
    ? { url: 'memory://', transport: new InProcessTransport(broker), ownTransport: true }
    : broker;
}

function dataSourceName({ replica = 'main' }: NotificationServiceParts): string {
  return `${APP}-${replica}`;
}

import { type EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { type PulsarModuleOptions } from '@smartpulse/pulsar';
import { type InProcessBroker } from '@smartpulse/pulsar/in-process';
import { type Clock, type Random } from '@smartpulse/resilience';
import { type Notifier } from './delivery/notifier.js';
import { type RuleOptions } from './rules/rule.options.js';

/** Where a broker is that outlives the process: each replica makes a connection of its own and closes it. */
export type BrokerAddress = Pick<PulsarModuleOptions, 'url' | 'namespace' | 'token'>;

/** A SQL Server. The address may carry a password and is told to nobody. */
export interface DatabaseAddress {
  /** `mssql://user:password@host:1433/database?encrypt=true&trustServerCertificate=false`. */
  readonly url: string;
}

/**
 * What a replica of the app is made of. The parts are borrowed: whoever made them closes them, after the app.
 */
export interface NotificationServiceParts {
  /** Holds the notifications, in tables of this app's own: embedded in this process, or a SQL Server that `migrateNotificationDatabase` has seen. */
  readonly database: EmbeddedDatabase | DatabaseAddress;
  /** Carries changes and events: the one of ProductionForecast, in this process or by its address. */
  readonly broker: InProcessBroker | BrokerAddress;
  /** The installation of ProductionForecast to listen to, where several share a broker. Default: the one without a name. */
  readonly installation?: string | undefined;
  /** Names the replica: unique among those that share a database. Default `main`. */
  readonly replica?: string | undefined;
  /** Default: the machine's. */
  readonly clock?: Clock | undefined;
  /** Default: the machine's. */
  readonly random?: Random | undefined;
  /** When rules speak. */
  readonly rules?: RuleOptions | undefined;
  /** The way out. Default: the log. */
  readonly notifier?: Notifier | undefined;
}

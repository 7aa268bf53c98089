import { type EmbeddedDatabase } from '@smartpulse/cdc/embedded';
import { type InProcessBroker } from '@smartpulse/pulsar/in-process';
import { type Clock, type Random } from '@smartpulse/resilience';
import { type Notifier } from './delivery/notifier.js';
import { type RuleOptions } from './rules/rule.options.js';

/**
 * What a replica of the app is made of. The parts are borrowed: whoever made them closes them, after the app.
 */
export interface NotificationServiceParts {
  /** Holds the notifications: this app's own, not that of ProductionForecast. */
  readonly database: EmbeddedDatabase;
  /** Carries changes and events: the one of ProductionForecast. */
  readonly broker: InProcessBroker;
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

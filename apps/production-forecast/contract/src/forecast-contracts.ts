import { forecastChange } from './forecast-change.js';
import { forecastComputed } from './forecast-computed.js';

/** Everything that ProductionForecast tells, on the topics of one installation. */
export interface ForecastContracts {
  readonly change: typeof forecastChange;
  readonly computed: typeof forecastComputed;
}

/**
 * The contracts of one installation. Several that share a broker and a namespace are told apart by their topics, and with them by
 * subscriptions and dead letters, which belong to topics.
 *
 * @param installation begins the topics' names: letters, digits, dashes. Default: none, `forecastChange` and `forecastComputed` as they stand.
 * @example
 * ```ts
 * forecastContracts('test-7').change.topic; // 'test-7-forecast-changes'
 * ```
 */
export function forecastContracts(installation?: string): ForecastContracts {
  return Object.freeze({
    change: within(installation, forecastChange),
    computed: within(installation, forecastComputed),
  });
}

function within<Contract extends { readonly topic: string }>(
  installation: string | undefined,
  contract: Contract,
): Contract {
  return installation === undefined
    ? contract
    : Object.freeze({ ...contract, topic: `${installation}-${contract.topic}` });
}

export { forecastChange, forecastRow, type ForecastKey, type ForecastRow } from './forecast-change.js';
export { forecastContracts, type ForecastContracts } from './forecast-contracts.js';
export {
  forecastComputed,
  forecastComputedEvent,
  forecastGap,
  type ForecastComputed,
  type ForecastGap,
} from './forecast-computed.js';

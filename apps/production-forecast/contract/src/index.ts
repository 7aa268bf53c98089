export { forecastChange, forecastRow, type ForecastKey, type ForecastRow } from './forecast-change.js';
export {
  forecastComputed,
  forecastComputedEvent,
  forecastGap,
  type ForecastComputed,
  type ForecastGap,
} from './forecast-computed.js';
export { invalidRequest, parseRequest } from './problem/parse-request.js';
export { ProblemFilter, type ProblemHost, type ProblemLog } from './problem/problem.filter.js';
export {
  MAX_PROBLEM_FIELDS,
  PROBLEM_JSON,
  type ProblemDetails,
  type ProblemField,
  type ProblemResponse,
  problemOf,
  RequestRefusedError,
  sendProblem,
} from './problem/problem-details.js';

export { loadSeries } from './data/load-series.js';
export { generateSeries } from './data/generate-series.js';
export type { RegionSeries, SeriesInterval } from './data/series.js';
export { type SmokeOptions, type SmokeReport, tellSmokeStory } from './story/smoke.story.js';

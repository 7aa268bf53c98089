import { FieldsHistory } from './fields.history.js';
import { RowHistory } from './row.history.js';
import type { SimulationOptions, SimulationResult } from './simulation.options.js';
import { TaggedHistory } from './tagged.history.js';

/** Runs one simulated history. */
export function simulate(options: SimulationOptions): Promise<SimulationResult> {
  if (options.shape === 'fields') {
    return new FieldsHistory(options).run();
  }
  return (options.shape === 'tagged' ? new TaggedHistory(options) : new RowHistory(options)).run();
}

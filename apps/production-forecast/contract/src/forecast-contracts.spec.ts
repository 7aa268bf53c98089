import { describe, expect, it } from 'vitest';
import { forecastChange } from './forecast-change.js';
import { forecastComputed } from './forecast-computed.js';
import { forecastContracts } from './forecast-contracts.js';

describe('forecastContracts', () => {
  it('leaves the contracts as they stand where there is one installation', () => {
    expect(forecastContracts()).toEqual({ change: forecastChange, computed: forecastComputed });
  });

  it('gives every installation topics of its own and changes nothing else', () => {
    const { change, computed } = forecastContracts('test-7');

    expect(change).toEqual({ ...forecastChange, topic: 'test-7-forecast-changes' });
    expect(computed).toEqual({ ...forecastComputed, topic: 'test-7-forecast-computed' });
  });
});

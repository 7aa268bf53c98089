import { z } from 'zod';
import { parseRequest } from './problem/parse-request.js';
import { PROVIDERS, type Series, UNIT_TYPES } from '../domain/series.js';

const seriesParams = z.strictObject({
  provider: z.enum(PROVIDERS, `expected ${PROVIDERS.join(', ')}`),
  unitType: z.enum(UNIT_TYPES, `expected ${UNIT_TYPES.join(', ')}`),
  unitNo: z
    .string()
    .regex(/^[1-9]\d{0,8}$/, 'expected a whole number from 1 to 999999999')
    .transform(Number),
});

/**
 * Reads the series from the path.
 *
 * @throws RequestRefusedError (400).
 */
export function parseSeries(params: unknown): Series {
  return parseRequest(seriesParams, params, '');
}

import { z } from 'zod';
import { type CentiMegawatts, INTERVAL_MS } from '../data/series.js';

/** What a series of values is about: the path of the service. */
export interface SeriesPath {
  readonly provider: 'FinalForecast' | 'Measured';
  readonly unitNo: number;
}

/** The value of one quarter of an hour. */
export interface IntervalValue {
  /** Milliseconds since the Unix epoch. */
  readonly startMs: number;
  readonly value: CentiMegawatts;
}

/** What the service says it did. */
export interface SaveAnswer {
  readonly batchId: string;
  readonly saved: number;
  readonly skipped: number;
}

const saveAnswer = z.object({ batchId: z.string(), saved: z.number(), skipped: z.number() });
const latestAnswer = z.object({ forecasts: z.array(z.object({ deliveryStart: z.string(), value: z.number() })) });

/** The service refused or failed; the message carries its status and its own words. */
export class ForecastRequestError extends Error {
  constructor(
    readonly status: number,
    problem: string,
  ) {
    super(`The service answered ${status}: ${problem}`);
    this.name = 'ForecastRequestError';
  }
}

/** A user of ProductionForecast's HTTP interface, as any other. */
export class ForecastClient {
  /** @param baseUrl where the service listens: `http://127.0.0.1:3000`. */
  constructor(private readonly baseUrl: string) {}

  /**
   * Saves values of one series; they are committed when this resolves.
   *
   * @throws {@link ForecastRequestError}
   */
  async save(path: SeriesPath, values: readonly IntervalValue[]): Promise<SaveAnswer> {
    const forecasts = values.map(({ startMs, value }) => ({
      deliveryStart: instant(startMs),
      deliveryEnd: instant(startMs + INTERVAL_MS),
      value: value / 100,
    }));
    const response = await fetch(this.#url(path, 'forecasts'), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ forecasts }),
    });
    return saveAnswer.parse(await readAnswer(response));
  }

  /**
   * Reads the latest values that begin in a range of at most 31 days.
   *
   * @throws {@link ForecastRequestError}
   */
  async latest(path: SeriesPath, fromMs: number, toMs: number): Promise<readonly IntervalValue[]> {
    const query = new URLSearchParams({ from: instant(fromMs), to: instant(toMs) });
    const response = await fetch(`${this.#url(path, 'forecasts/latest')}?${query.toString()}`);
    const { forecasts } = latestAnswer.parse(await readAnswer(response));
    return forecasts.map(({ deliveryStart, value }) => ({
      startMs: Date.parse(deliveryStart),
      value: Math.round(value * 100),
    }));
  }

  #url({ provider, unitNo }: SeriesPath, rest: string): string {
    return `${this.baseUrl}/api/v2.0/production-forecast/${provider}/PP/${unitNo}/${rest}`;
  }
}

async function readAnswer(response: Response): Promise<unknown> {
  if (!response.ok) {
    throw new ForecastRequestError(response.status, await response.text());
  }
  return response.json();
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}

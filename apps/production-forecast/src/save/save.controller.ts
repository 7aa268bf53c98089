import { Body, Controller, Headers, HttpCode, Inject, Param, Post, UseGuards } from '@nestjs/common';
import { QueueFullError, WorkerStoppedError } from '@smartpulse/batch';
import { Random } from '@smartpulse/resilience';
import { invalidRequest } from '../http/problem/parse-request.js';
import { RequestRefusedError } from '../http/problem/problem-details.js';
import { type EntityTags, parseEntityTags } from '../http/entity-tags.js';
import { JsonOnlyGuard } from '../http/json-only.guard.js';
import { parseSeries } from '../http/series.params.js';
import { ForecastSaver } from './forecast.saver.js';
import { parseDeliveries, type SaveResult } from './save-request.js';

/** Saving forecasts. */
@Controller('api/v2.0/production-forecast/:provider/:unitType/:unitNo/forecasts')
export class SaveController {
  constructor(
    @Inject(ForecastSaver) private readonly saver: ForecastSaver,
    @Inject(Random) private readonly random: Random,
  ) {}

  /** Saves all forecasts of the body or none, and answers when they are committed. */
  @Post()
  @HttpCode(200)
  @UseGuards(JsonOnlyGuard)
  async save(
    @Param() params: Record<string, string>,
    @Body() body: unknown,
    @Headers('if-match') ifMatch: string | undefined,
  ): Promise<SaveResult> {
    const request = {
      batchId: this.random.id(),
      series: parseSeries(params),
      deliveries: parseDeliveries(body),
      ifMatch: readCondition(ifMatch),
    };
    try {
      return await this.saver.save(request);
    } catch (error) {
      if (QueueFullError.is(error) || WorkerStoppedError.is(error)) {
        throw new RequestRefusedError(
          503,
          'busy',
          'Nothing was saved: too much waits to be saved, or the app stops. Send it again later.',
        );
      }
      throw error;
    }
  }
}

function readCondition(header: string | undefined): EntityTags | undefined {
  if (header === undefined) {
    return undefined;
  }
  const tags = parseEntityTags(header);
  if (tags === undefined) {
    throw invalidRequest([{ pointer: 'If-Match', code: 'Malformed', detail: 'expected * or entity tags in quotes' }]);
  }
  return tags;
}

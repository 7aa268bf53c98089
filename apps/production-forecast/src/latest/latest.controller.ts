import { Controller, Get, Headers, Inject, Param, Query, Res } from '@nestjs/common';
import { type Response } from 'express';
import { matchesWeakly, parseEntityTags } from '../http/entity-tags.js';
import { parseSeries } from '../http/series.params.js';
import { parseLatestQuery } from './latest-request.js';
import { LatestReader } from './latest.reader.js';

/** Reading the latest forecasts. */
@Controller('api/v2.0/production-forecast/:provider/:unitType/:unitNo/forecasts')
export class LatestController {
  constructor(@Inject(LatestReader) private readonly reader: LatestReader) {}

  /** Answers the deliveries that begin in a range of at most 31 days; 304 when the client has them already. */
  @Get('latest')
  async latest(
    @Param() params: Record<string, string>,
    @Query() query: Record<string, unknown>,
    @Headers('if-none-match') ifNoneMatch: string | undefined,
    @Res() response: Response,
  ): Promise<void> {
    const { body, etag } = await this.reader.read(parseLatestQuery(parseSeries(params), query));
    // Kept by the client, used again only after asking: what was answered may be corrected at any time.
    response.setHeader('Cache-Control', 'private, no-cache');
    response.setHeader('ETag', etag);
    // A condition that cannot be read is no condition (RFC 9110, 13.1.2): the whole answer is right for everybody.
    const tags = ifNoneMatch === undefined ? undefined : parseEntityTags(ifNoneMatch);
    if (tags !== undefined && matchesWeakly(tags, etag)) {
      response.status(304).end();
      return;
    }
    response.setHeader('Content-Type', 'application/json; charset=utf-8');
    response.end(body);
  }
}

import { Controller, Get, Header, Inject, Res, VERSION_NEUTRAL } from '@nestjs/common';
import { HealthSampler } from '../sampling/health.sampler.js';

/**
 * `/health/live` and `/health/startup`: about this process alone. They do not use Terminus, whose shutting-down state turns every check
 * into 503: an orchestrator would kill a process in the middle of its clean stop.
 */
@Controller({ path: 'health', version: VERSION_NEUTRAL })
export class ProcessController {
  constructor(@Inject(HealthSampler) private readonly sampler: HealthSampler) {}

  /** 200 as long as the process can answer at all, also while it stops; it depends on nothing. */
  @Get('live')
  @Header('Cache-Control', 'no-store')
  live(): { status: 'ok' } {
    return { status: 'ok' };
  }

  /** 503 until the app has booted and every part has started, then 200 for good. */
  @Get('startup')
  @Header('Cache-Control', 'no-store')
  startup(@Res({ passthrough: true }) response: { status(code: number): unknown }): { status: 'ok' | 'starting' } {
    if (this.sampler.started) {
      return { status: 'ok' };
    }
    response.status(503);
    return { status: 'starting' };
  }
}

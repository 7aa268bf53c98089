import {
  Controller,
  Get,
  Header,
  Inject,
  Req,
  Res,
  ServiceUnavailableException,
  VERSION_NEUTRAL,
} from '@nestjs/common';
import { HealthCheckService, HealthIndicatorService, type HealthIndicatorResult } from '@nestjs/terminus';
import { HEALTH_OPTIONS, type HealthRequest, type ResolvedHealthOptions } from '../health.options.js';
import { HealthSampler } from '../sampling/health.sampler.js';
import type { ProbeReport } from '../sampling/probe-report.js';
import { maySeeDetails } from './details-gate.js';

/** The part of a response that is used; those of Express and of Fastify fit. */
interface HealthResponse {
  status(code: number): unknown;
}

/** What callers who may not see details get. */
interface StatusBody {
  readonly status: string;
}

const NO_STORE = ['Cache-Control', 'no-store'] as const;

/** `/health` and `/health/ready`: what the sampler knows, in the format of Terminus. */
@Controller({ path: 'health', version: VERSION_NEUTRAL })
export class HealthController {
  constructor(
    @Inject(HealthSampler) private readonly sampler: HealthSampler,
    @Inject(HealthCheckService) private readonly terminus: HealthCheckService,
    @Inject(HealthIndicatorService) private readonly indicators: HealthIndicatorService,
    @Inject(HEALTH_OPTIONS) private readonly options: ResolvedHealthOptions,
  ) {}

  /** All probes; 503 when a critical one is down or the app stops. */
  @Get()
  @Header(...NO_STORE)
  async all(@Req() request: HealthRequest, @Res({ passthrough: true }) response: HealthResponse): Promise<object> {
    const body = await this.#check(response);
    return maySeeDetails(this.options.details, request) ? body : { status: body.status };
  }

  /** Whether this replica takes requests: 503 while it starts, stops or a critical probe is down; else 200, `ok` or `degraded`. */
  @Get('ready')
  @Header(...NO_STORE)
  async ready(@Res({ passthrough: true }) response: HealthResponse): Promise<StatusBody> {
    if (!this.sampler.started && !this.sampler.stopping) {
      response.status(503);
      return { status: 'starting' };
    }
    const { status } = await this.#check(response);
    return { status };
  }

  async #check(response: HealthResponse): Promise<StatusBody> {
    let body: StatusBody;
    try {
      body = await this.terminus.check(this.sampler.reports().map((report) => () => this.#indicate(report)));
    } catch (error) {
      // Terminus throws what is not well. It is answered, not thrown on: an exception filter of the app would change its format.
      if (!(error instanceof ServiceUnavailableException)) {
        throw error;
      }
      body = statusBody(error.getResponse());
    }
    const shown = this.sampler.stopping ? { ...body, status: 'shutting_down' } : body;
    response.status(shown.status === 'ok' || shown.status === 'degraded' ? 200 : 503);
    return shown;
  }

  /** Only a critical probe may make the whole `error`; another one that is down degrades it, and says so. */
  #indicate({ name, critical, status, unknown, details }: ProbeReport): HealthIndicatorResult {
    const indicator = this.indicators.check(name);
    const data = { critical, probe: unknown ? 'unknown' : status, details };
    if (status === 'up') {
      return indicator.up(data);
    }
    return status === 'down' && critical ? indicator.down(data) : indicator.degraded(data);
  }
}

function statusBody(response: string | object): StatusBody {
  const status: unknown = typeof response === 'object' ? Reflect.get(response, 'status') : undefined;
  return { ...(typeof response === 'object' && response), status: typeof status === 'string' ? status : 'error' };
}

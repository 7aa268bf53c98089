import { Inject, Injectable } from '@nestjs/common';
import { forecastComputed, type ForecastComputed, type ForecastKey } from '@smartpulse/production-forecast-contract';
import { Clock } from '@smartpulse/resilience';
import { type EntityManager } from 'typeorm';
import { RequestRefusedError } from '../http/problem/problem-details.js';
import { type Delivery } from '../domain/delivery.js';
import { formatInstant } from '../domain/instant.js';
import { planSave } from '../domain/save-plan.js';
import { matchesStrongly } from '../http/entity-tags.js';
import { represent } from '../latest/representation.js';
import { ForecastOutboxEntity } from '../storage/forecast-outbox.entity.js';
import { forecastOutbox } from '../sync/forecast.sync.js';
import { ForecastRepository } from '../storage/forecast.repository.js';
import { type SaveRequest, type SaveResult } from './save-request.js';

/** A request as it was written, before the commit. */
export interface Written {
  readonly result: SaveResult;
  /** Primary keys of the rows that were written. */
  readonly keys: readonly ForecastKey[];
}

/** Writes one request within the caller's transaction: condition, rows and event, or nothing. */
@Injectable()
export class ForecastWriter {
  readonly #rows = new ForecastRepository();

  constructor(@Inject(Clock) private readonly clock: Clock) {}

  /**
   * Rows that are stored already with the same value are left alone: they get no new version, and nobody is told.
   *
   * @throws RequestRefusedError: 412 when the condition does not hold, 409 when a delivery overlaps a stored one of other bounds.
   */
  async write(manager: EntityManager, request: SaveRequest): Promise<Written> {
    const { series, deliveries, batchId } = request;
    const fromMs = deliveries[0]?.startMs ?? 0;
    const toMs = deliveries.at(-1)?.endMs ?? 0;
    const stored = await this.#rows.readTouching(manager, series, fromMs, toMs);
    checkCondition(request, stored, fromMs, toMs);
    const plan = planSave(stored, deliveries);
    if (plan.kind === 'conflicting') {
      throw overlapsStored(plan.delivery, plan.stored);
    }
    const { changed, skipped, gaps, missingMinutes } = plan;
    if (changed.length > 0) {
      await this.#rows.write(manager, series, changed, batchId);
      await this.#announce(manager, {
        batchId,
        ...series,
        from: formatInstant(fromMs),
        to: formatInstant(toMs),
        saved: changed.length,
        skipped,
        gaps: [...gaps],
        missingMinutes,
        computedAt: formatInstant(this.clock.now()),
      });
    }
    return {
      result: { batchId, saved: changed.length, skipped },
      keys: changed.map((delivery) => ({ ...series, deliveryStart: formatInstant(delivery.startMs) })),
    };
  }

  async #announce(manager: EntityManager, event: ForecastComputed): Promise<void> {
    await manager
      .createQueryBuilder()
      .insert()
      .into(ForecastOutboxEntity)
      .values({ ...forecastOutbox.row(forecastComputed, event), createdAt: event.computedAt })
      .updateEntity(false)
      .execute();
  }
}

function checkCondition(
  { ifMatch, series }: SaveRequest,
  stored: readonly Delivery[],
  fromMs: number,
  toMs: number,
): void {
  if (ifMatch === undefined) {
    return;
  }
  // The same text that `latest` answers for exactly this range: a delivery that began before it does not belong to it.
  const current = stored.filter((delivery) => delivery.startMs >= fromMs);
  const { etag } = represent({ series, fromMs, toMs, resolutionMinutes: undefined }, current);
  if (!matchesStrongly(ifMatch, etag, current.length > 0)) {
    throw new RequestRefusedError(
      412,
      'precondition-failed',
      `The latest forecasts from ${formatInstant(fromMs)} to ${formatInstant(toMs)} are not the ones that If-Match names. ` +
        'Nothing was saved: read them again (latest over exactly this range, without a resolution) and decide anew.',
    );
  }
}

function overlapsStored(delivery: Delivery, stored: Delivery): RequestRefusedError {
  const text = ({ startMs, endMs }: Delivery): string => `${formatInstant(startMs)} to ${formatInstant(endMs)}`;
  return new RequestRefusedError(
    409,
    'overlapping-deliveries',
    `The delivery ${text(delivery)} overlaps the stored one ${text(stored)}. Nothing was saved: a series keeps the period that it has.`,
  );
}

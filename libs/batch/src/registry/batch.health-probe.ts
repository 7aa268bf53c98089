import { HealthProbe, type ProbeResult } from '@smartpulse/resilience';
import { BATCH_DEFAULTS } from '../batch.options.js';
import { filledShare } from './batch-part.js';
import type { BatchRegistry } from './batch.registry.js';

/** `degraded` when a worker or queue of the app is nearly full: producers are about to wait or to be refused. */
export class BatchHealthProbe extends HealthProbe {
  readonly name = 'batch';
  readonly #registry: BatchRegistry;
  readonly #degradedAboveShare: number;

  constructor(registry: BatchRegistry, degradedAboveShare: number = BATCH_DEFAULTS.degradedAboveShare) {
    super();
    this.#registry = registry;
    this.#degradedAboveShare = degradedAboveShare;
  }

  override check(): ProbeResult {
    let fullest: string | null = null;
    let highest = 0;
    let waiting = 0;
    const parts = this.#registry.list();
    for (const part of parts) {
      const share = filledShare(part);
      waiting += part.stats.waiting;
      if (share > highest) {
        highest = share;
        fullest = part.stats.name;
      }
    }
    return {
      status: highest > this.#degradedAboveShare ? 'degraded' : 'up',
      details: { parts: parts.length, fullest, fullestPercent: Math.round(highest * 100), waiting },
    };
  }
}

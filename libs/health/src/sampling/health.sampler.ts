import { Inject, Injectable, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { Clock, Random, ShutdownCoordinator, type Timer } from '@smartpulse/resilience';
import { HEALTH_OPTIONS, type ResolvedHealthOptions } from '../health.options.js';
import { findProbes } from './probe-finder.js';
import type { ProbeReport } from './probe-report.js';
import { SampledProbe } from './sampled-probe.js';

/**
 * Asks all probes in the background, side by side, from the app's bootstrap until its stop begins. Endpoints only read what it knows, so
 * that a slow part slows no endpoint down, and many callers cost no more than one.
 */
@Injectable()
export class HealthSampler implements OnModuleInit, OnApplicationBootstrap {
  #probes: readonly SampledProbe[] = [];
  #timer: Timer | undefined;
  #running = false;
  #started = false;

  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(HEALTH_OPTIONS) private readonly options: ResolvedHealthOptions,
    @Inject(Clock) private readonly clock: Clock,
    @Inject(Random) private readonly random: Random,
    @Inject(ShutdownCoordinator) private readonly shutdown: ShutdownCoordinator,
  ) {}

  /** Whether the stop of the app has begun. */
  get stopping(): boolean {
    return this.shutdown.isStopping;
  }

  /** `true` from the moment when the app had booted, every probe was asked and its part had started; then for good. */
  get started(): boolean {
    this.#started ||= this.#running && this.#probes.every((probe) => probe.started);
    return this.#started;
  }

  /** What is known of every probe, by name. */
  reports(): readonly ProbeReport[] {
    return this.#probes.map((probe) => probe.report());
  }

  /** @throws DuplicateProbeError when two probes have one name. */
  onModuleInit(): void {
    this.#probes = findProbes(this.discovery).map((probe) => new SampledProbe(probe, this.clock, this.options));
  }

  /** Begins to ask; the app does not wait for the first answers. */
  onApplicationBootstrap(): void {
    // After intake has stopped, probes find parts closed on purpose.
    this.shutdown.register({ name: 'health sampling', phase: 'intake', stop: () => this.#stop() });
    if (!this.shutdown.isStopping) {
      this.#running = true;
      this.#round();
    }
  }

  #round(): void {
    this.#timer = undefined;
    void Promise.allSettled(this.#probes.map((probe) => probe.sample())).then(() => this.#schedule());
  }

  #schedule(): void {
    if (this.#running) {
      const { intervalMs, jitter } = this.options;
      const delayMs = intervalMs * (1 + jitter * (2 * this.random.next() - 1));
      this.#timer = this.clock.setTimer(delayMs, () => this.#round(), { unref: true });
    }
  }

  #stop(): void {
    this.#started = this.started;
    this.#running = false;
    this.#timer?.cancel();
    this.#probes.forEach((probe) => probe.stop());
  }
}

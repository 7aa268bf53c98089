/** What a probe found: `degraded` means useful but impaired; it never takes a replica out of service. */
export type ProbeStatus = 'up' | 'degraded' | 'down';

/** Plain data that may be shown on `/health`; never a credential, a key or an address with one. */
export type ProbeDetails = Readonly<Record<string, string | number | boolean | null>>;

/** The answer of a probe. */
export interface ProbeResult {
  readonly status: ProbeStatus;
  readonly details?: ProbeDetails;
}

/**
 * A health probe, as a port: libraries provide one as a Nest provider, `HealthModule` finds every provider that extends
 * this class. A probe answers from state that it already has, within a few milliseconds; a remote call honours `signal`.
 */
export abstract class HealthProbe {
  /** Unique in the app, stable, lower case with dashes: the key of the result. */
  abstract readonly name: string;

  /**
   * `true`: a `down` takes this replica out of readiness. Leave it `false` for dependencies that all replicas share:
   * when they fail, removing every replica at once helps nobody, so they only degrade.
   */
  readonly critical: boolean = false;

  /** Says how the part is now. A throw counts as `down` with the error's name. */
  abstract check(signal: AbortSignal): ProbeResult | Promise<ProbeResult>;

  /** `false` as long as the part has not finished starting; `/health/startup` waits for it. */
  started(): boolean {
    return true;
  }
}

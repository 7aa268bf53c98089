import { ConfigurationError } from '@smartpulse/resilience';
import type { ChangeVersion } from '../change/change-version.js';
import { type Stamped, StampedReader } from './stamped.reader.js';

/** Stands where `CdcModule.forRoot` was given no reader, and says so to whoever reads. */
export class AbsentStampedReader extends StampedReader {
  override readonly isolation = 'statement';

  override read<T>(): Promise<Stamped<T>> {
    return Promise.reject(absent());
  }

  override current(): Promise<ChangeVersion> {
    return Promise.reject(absent());
  }
}

function absent(): ConfigurationError {
  return new ConfigurationError('CdcModule.forRoot', [
    { option: 'stampedReader', problem: 'nothing was given, but something reads data with its stamp' },
  ]);
}

/** Where bytes leave. A fault that bends the bytes of a reply is a sink in front of another. */
export interface ByteSink {
  /**
   * Resolves when there is room for more.
   *
   * @throws ConnectionGone when nobody is there to read.
   */
  write(bytes: Buffer): Promise<void>;
}

/** The connection ended while something was to be written, or was ended on purpose by a fault. */
export class ConnectionGone extends Error {
  constructor() {
    super('The connection is gone');
    this.name = 'ConnectionGone';
  }
}

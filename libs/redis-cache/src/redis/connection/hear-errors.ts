import type { Redis } from 'ioredis';

/**
 * Hears the errors of a connection, before it is there and afterwards. The client listens to its socket for one error; one of TLS that was refused may tell another
 * when the server answers, which nobody would hear but the process, and the process would end by it.
 */
export function hearErrors(redis: Redis, hear: (error: Error) => void): void {
  redis.on('error', (error) => {
    hear(error);
    const stream: Redis['stream'] | undefined = redis.stream;
    if (stream?.listenerCount('error') === 0) {
      // What ended it was told already.
      stream.on('error', () => {});
    }
  });
}

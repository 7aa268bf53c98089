/**
 * `work`'s answer, or the signal's reason as soon as it aborts: whoever lost the lease, or may wait no longer, must not depend on a sink
 * or a source that does not listen. What `work` does later is nobody's concern any more, its rejection included.
 */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) {
      onAbort();
    }
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Resolves when timers and sockets had their turn: SQLite blocks the event loop, so long work is done in steps. */
export function nextLoopTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

// Ctrl-C: the first one lets running jobs end and begins no other, the second one gives them up. SIGTERM gives them up at once.
export interface Interrupt extends Disposable {
  readonly stop: AbortSignal;
  readonly drop: AbortSignal;
  /** What to exit with: 130, 143, or nothing where nobody interrupted. */
  readonly exitCode: number | undefined;
}

/** @param onFirst told of the first Ctrl-C */
export function listenForInterrupt(onFirst: () => void): Interrupt {
  const [stop, drop] = [new AbortController(), new AbortController()];
  let exitCode: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    exitCode ??= signal === 'SIGINT' ? 130 : 143;
    if (signal === 'SIGTERM' || stop.signal.aborted) drop.abort();
    else onFirst();
    stop.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    stop: stop.signal,
    drop: drop.signal,
    get exitCode() {
      return exitCode;
    },
    [Symbol.dispose]() {
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    },
  };
}

// Ctrl-C: the first one asks the running step to be the last, the second one leaves at once.
import { exitCodes } from './errors.ts';

export interface Interrupt {
  /** The signal that asked to stop, once there was one. */
  readonly requested: 'SIGINT' | 'SIGTERM' | undefined;
}

export const exitCodeOf = (signal: 'SIGINT' | 'SIGTERM'): number =>
  signal === 'SIGINT' ? exitCodes.interrupted : exitCodes.terminated;

/**
 * Listens for SIGINT and SIGTERM until disposed of.
 *
 * @param onFirst told when the first signal has arrived
 */
export function listenForInterrupt(onFirst: () => void): Interrupt & Disposable {
  let requested: Interrupt['requested'];
  const listener = (signal: NodeJS.Signals): void => {
    if (requested) process.exit(exitCodeOf(requested));
    requested = signal as 'SIGINT' | 'SIGTERM';
    onFirst();
  };
  process.on('SIGINT', listener);
  process.on('SIGTERM', listener);
  return {
    get requested() {
      return requested;
    },
    [Symbol.dispose]() {
      process.off('SIGINT', listener);
      process.off('SIGTERM', listener);
    },
  };
}

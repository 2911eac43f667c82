// A device that is lost takes all tensors with it, but not the run: its checkpoints are on disk.
import { closeBackend, MnemixError } from '@mnemix/tensor';

/** A device that is lost again and again has something wrong with it. */
const MOST_LOSSES = 3;

export interface FreshDevices {
  /** Opens a device in place of the one that was lost. */
  readonly open: () => Promise<unknown>;
  /** Told of each loss, in words. */
  readonly note: (line: string) => void;
}

/**
 * Runs `run`, and again on a fresh device whenever its device is lost, three times at most.
 *
 * @param run continues from what it has saved; told how many devices were lost before
 * @throws what `run` throws, and the last loss when there are too many
 */
export async function onFreshDevices<T>(
  run: (losses: number) => Promise<T>,
  { open, note }: FreshDevices,
): Promise<T> {
  for (let losses = 0; ; losses++) {
    try {
      return await run(losses);
    } catch (error) {
      if (!(error instanceof MnemixError && error.code === 'lost') || losses === MOST_LOSSES) throw error;
      note(
        `warning     ${error.where}: ${error.message.slice(error.where.length + 2, -error.fix.length - 1)} ` +
          `Opening a fresh one (${losses + 1} of at most ${MOST_LOSSES}).`,
      );
      await closeBackend();
      await open();
    }
  }
}

// How commands end that were asked for something wrong.
import { UsageError } from '../sweep/faults.ts';

/** The action, with all faults printed and exit code 2 where it throws a UsageError. */
export const reportingFaults =
  <Args extends readonly unknown[]>(action: (...args: Args) => Promise<void>) =>
  async (...args: Args): Promise<void> => {
    try {
      await action(...args);
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      console.error(error.message);
      process.exitCode = 2;
    }
  };

// What goes wrong, as the reader of a terminal sees it: `error: where: message`, then `fix: what to do`.
import { MnemixError } from '@mnemix/tensor';

/** One thing wrong with what the user asked for. */
export interface Fault {
  /** The configuration key, flag or argument at fault. */
  readonly where: string;
  /** What was found, and what was expected. */
  readonly message: string;
  readonly fix: string;
}

/** The user asked for something that cannot be done. Carries every fault, so that one look is enough to mend them. */
export class UsageError extends Error {
  override readonly name = 'UsageError';

  constructor(readonly faults: readonly Fault[]) {
    super(faults.map(({ where, message, fix }) => `${where}: ${message} ${fix}`).join('\n'));
  }
}

/** Throws every fault at once, if there are any. */
export function throwFaults(faults: readonly Fault[]): void {
  if (faults.length > 0) throw new UsageError(faults);
}

/** A library's error as a fault. Its message has the form `where: message fix`. */
function toFault(error: MnemixError): Fault {
  const { where, fix, message } = error;
  const isWhole = message.startsWith(`${where}: `) && message.endsWith(` ${fix}`);
  return { where, fix, message: isWhole ? message.slice(where.length + 2, -fix.length - 1) : message };
}

/** The exit codes of the command line. */
export const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130, terminated: 143 } as const;

/**
 * What to print of an error, and what to exit with: 2 where the user asked for something wrong, 1 where it went wrong.
 *
 * @param debug also print the stack
 */
export function describeError(error: unknown, { debug = false } = {}): { text: string; exitCode: number } {
  const stack = debug && error instanceof Error ? `\n${error.stack}` : '';
  if (error instanceof UsageError) {
    return { text: error.faults.map(faultText).join('\n') + stack, exitCode: exitCodes.usage };
  }
  if (error instanceof MnemixError) {
    const exitCode = error.code === 'config' ? exitCodes.usage : exitCodes.failed;
    return { text: faultText(toFault(error)) + stack, exitCode };
  }
  const { code, syscall, path } = (error ?? {}) as NodeJS.ErrnoException;
  const message = error instanceof Error ? error.message : String(error);
  if (code !== undefined && syscall !== undefined) {
    const fix = 'Check the path, your permissions and the free space.';
    return {
      text: faultText({ where: path ?? syscall, message: `${message}.`, fix }) + stack,
      exitCode: exitCodes.failed,
    };
  }
  const unexpected = {
    where: 'mnemix',
    message,
    fix: 'This is not an error that was foreseen; --debug shows its stack.',
  };
  return { text: faultText(unexpected) + stack, exitCode: exitCodes.failed };
}

const faultText = ({ where, message, fix }: Fault): string => `error: ${where}: ${message}\nfix: ${fix}`;

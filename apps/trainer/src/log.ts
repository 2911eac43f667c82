// The log of a run: one JSON object a line, one line a step, appended as training goes.
import { open, type FileHandle } from 'node:fs/promises';
import { MnemixError } from '@mnemix/tensor';
import { readIfThere, writeAtomically } from './files.ts';
import type { StepNumbers } from './training-step.ts';

/** A training step, or an evaluation after it. */
export type LogEntry = StepEntry | EvaluationEntry;

export interface StepEntry extends StepNumbers {
  readonly step: number;
  /** Tokens of the step's batch. */
  readonly tokens: number;
  /** Seconds of training up to here, pauses between resumptions excluded. */
  readonly seconds: number;
}

export interface EvaluationEntry {
  readonly step: number;
  readonly unseen: { readonly loss: number; readonly accuracy: number };
}

export const isEvaluation = (entry: LogEntry): entry is EvaluationEntry => 'unseen' in entry;
export const isStep = (entry: LogEntry): entry is StepEntry => !isEvaluation(entry);

/** The whole lines of a log; a last line that a killed writer left torn is not one. */
export async function readLog(path: string): Promise<LogEntry[]> {
  const text = (await readIfThere(path)) ?? '';
  const lines = text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .slice(0, -1);
  return lines.map((line, i) => {
    try {
      return JSON.parse(line) as LogEntry;
    } catch (cause) {
      const fix = 'Remove the damaged line: only curves are made of it.';
      throw new MnemixError({
        code: 'file',
        where: `${path}:${i + 1}`,
        message: 'it is not JSON.',
        fix,
        cause,
      });
    }
  });
}

/** Appends to a log. */
export class LogWriter {
  private constructor(
    private readonly file: FileHandle,
    /** What the log held when it was opened. */
    readonly earlier: readonly LogEntry[],
  ) {}

  /**
   * Opens a log to continue after `step`: drops a torn last line, and what was logged after the checkpoint of that
   * step, since it is about to happen again.
   */
  static async continueAfter(path: string, step: number): Promise<LogWriter> {
    const entries = (await readLog(path)).filter((entry) => entry.step <= step);
    await writeAtomically(path, entries.map(toLine).join(''));
    return new LogWriter(await open(path, 'a'), entries);
  }

  async append(entry: LogEntry): Promise<void> {
    await this.file.write(toLine(entry));
  }

  /** Everything appended so far survives a power cut. */
  async flush(): Promise<void> {
    await this.file.sync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.file.close();
  }
}

const toLine = (entry: LogEntry): string => `${JSON.stringify(entry)}\n`;

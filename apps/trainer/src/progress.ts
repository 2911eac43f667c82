// What is seen while training goes: one line that renews itself on a terminal, plain lines elsewhere.
import type { StepEntry } from './log.ts';
import { duration, percent, quantity } from './format.ts';

export interface Status {
  /** Which run, where there are several. */
  readonly label: string;
  readonly step: number;
  readonly steps: number;
  /** Means over the latest steps. */
  readonly loss: number;
  readonly accuracy: number;
  readonly tokensPerSecond: number;
  readonly load?: readonly number[] | undefined;
  readonly secondsLeft: number;
  /** The run may end before its last step. */
  readonly mayStopEarlier: boolean;
}

export interface Progress {
  /** A step has been done. */
  step(status: Status): void;
  /** A line that stays. */
  note(line: string): void;
}

/** The part of a stream that progress needs; `process.stdout` is one. */
export interface Screen {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** @param logEvery steps between lines where the screen is no terminal */
export function createProgress(screen: Screen, logEvery: number): Progress {
  const isTerminal = screen.isTTY === true;
  const clear = isTerminal ? '\r\u001b[K' : '';
  let isLineOpen = false;
  return {
    step(status) {
      const isLast = status.step === status.steps;
      if (isTerminal) screen.write(clear + statusLine(status).slice(0, (screen.columns ?? 120) - 1));
      else if (status.step % logEvery === 0 || isLast) screen.write(`${statusLine(status)}\n`);
      isLineOpen = isTerminal;
    },
    note(line) {
      screen.write(`${isLineOpen ? clear : ''}${line}\n`);
      isLineOpen = false;
    },
  };
}

/** `mom  step 120/600 · loss 1.234 · accuracy 45.1 % · 12.3k tokens/s · memories 26 25 24 25 % · 1m12s left` */
export function statusLine(status: Status): string {
  const { label, step, steps, loss, accuracy, tokensPerSecond, load, secondsLeft, mayStopEarlier } = status;
  const parts = [
    `step ${String(step).padStart(String(steps).length)}/${steps}`,
    `loss ${loss.toFixed(3)}`,
    `accuracy ${percent(accuracy)}`,
    `${quantity(tokensPerSecond)} tokens/s`,
    ...(load ? [`memories ${load.map((share) => Math.round(100 * share)).join(' ')} %`] : []),
    `${mayStopEarlier ? 'at most ' : ''}${duration(secondsLeft)} left`,
  ];
  return `${label ? `${label}  ` : ''}${parts.join(' · ')}`;
}

export interface RecentMeans {
  readonly loss: number;
  readonly accuracy: number;
  readonly tokensPerSecond: number;
  readonly secondsPerStep: number;
}

/** Means over the latest steps: single batches jump too much to be read. */
export class RecentSteps {
  private readonly window: StepEntry[] = [];

  constructor(private readonly size: number) {}

  add(entry: StepEntry): RecentMeans {
    this.window.push(entry);
    // One more than the window: what lies between n + 1 steps is the time of n.
    if (this.window.length > this.size + 1) this.window.shift();
    const recent = this.window.slice(-this.size);
    const mean = (of: (step: StepEntry) => number): number =>
      recent.reduce((sum, step) => sum + of(step), 0) / recent.length;
    const first = this.window[0] as StepEntry;
    const steps = entry.step - first.step;
    const secondsPerStep = steps > 0 ? (entry.seconds - first.seconds) / steps : entry.seconds / entry.step;
    return {
      loss: mean((step) => step.loss),
      accuracy: mean((step) => step.accuracy),
      tokensPerSecond: mean((step) => step.tokens) / secondsPerStep,
      secondsPerStep,
    };
  }
}

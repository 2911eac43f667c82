import { describe, expect, it } from 'vitest';
import { duration, quantity } from '../src/format.ts';
import { createProgress, RecentSteps, statusLine, type Status } from '../src/progress.ts';

const status: Status = {
  label: 'mom',
  step: 12,
  steps: 600,
  loss: 1.23456,
  accuracy: 0.4507,
  tokensPerSecond: 12345,
  load: [0.26, 0.25, 0.24, 0.25],
  secondsLeft: 72,
  mayStopEarlier: true,
};

function screen(isTTY: boolean, columns = 200) {
  const written: string[] = [];
  return { isTTY, columns, write: (text: string) => void written.push(text), written };
}

describe('the progress line', () => {
  it('tells step, loss, accuracy, speed, memory loads and the time that is left', () => {
    expect(statusLine(status)).toBe(
      'mom  step  12/600 · loss 1.235 · accuracy 45.1 % · 12.3k tokens/s · memories 26 25 24 25 % · at most 1m12s left',
    );
  });

  it('leaves out what there is not', () => {
    const line = statusLine({ ...status, label: '', load: undefined, mayStopEarlier: false });
    expect(line).toBe('step  12/600 · loss 1.235 · accuracy 45.1 % · 12.3k tokens/s · 1m12s left');
  });

  it('renews itself on a terminal, and makes way for lines that stay', () => {
    const terminal = screen(true);
    const progress = createProgress(terminal, 10);
    progress.step(status);
    progress.step({ ...status, step: 13 });
    progress.note('saved');
    progress.note('done');
    expect(terminal.written.map((text) => text.slice(0, 20))).toEqual([
      '\r\u001b[Kmom  step  12/60',
      '\r\u001b[Kmom  step  13/60',
      '\r\u001b[Ksaved\n',
      'done\n',
    ]);
  });

  it('never wraps on a narrow terminal', () => {
    const terminal = screen(true, 20);
    createProgress(terminal, 10).step(status);
    expect(terminal.written[0]?.replace('\r\u001b[K', '')).toHaveLength(19);
  });

  it('is a plain line now and then elsewhere, and at the last step', () => {
    const pipe = screen(false);
    const progress = createProgress(pipe, 10);
    for (const step of [9, 10, 11, 600]) progress.step({ ...status, step });
    expect(pipe.written).toHaveLength(2);
    expect(pipe.written.every((text) => text.endsWith('left\n') && !text.includes('\u001b'))).toBe(true);
  });
});

describe('means over recent steps', () => {
  it('forget what is older than their window', () => {
    const recent = new RecentSteps(2);
    const entry = (step: number, loss: number, seconds: number) =>
      recent.add({ step, tokens: 10, loss, accuracy: 0, learningRate: 0, gradientNorm: 0, seconds });
    expect(entry(1, 8, 1)).toEqual({ loss: 8, accuracy: 0, tokensPerSecond: 10, secondsPerStep: 1 });
    expect(entry(2, 4, 3)).toEqual({ loss: 6, accuracy: 0, tokensPerSecond: 5, secondsPerStep: 2 });
    expect(entry(3, 2, 3.5)).toEqual({ loss: 3, accuracy: 0, tokensPerSecond: 8, secondsPerStep: 1.25 });
    expect(entry(4, 0, 4)).toEqual({ loss: 1, accuracy: 0, tokensPerSecond: 20, secondsPerStep: 0.5 });
  });
});

describe('numbers for readers', () => {
  it.each([
    [42, '42s'],
    [187, '3m07s'],
    [7500, '2h05m'],
  ])('%d seconds are %s', (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });
  it.each([
    [950, '950'],
    [12345, '12.3k'],
    [999_999, '1.00M'],
    [4_560_000, '4.56M'],
  ])('%d is %s', (value, text) => {
    expect(quantity(value)).toBe(text);
  });
});

import { text, mqar, type Task } from '@mnemix/tasks';
import { Rng } from '@mnemix/tensor';
import { describe, expect, it } from 'vitest';
import { heldOutBatches, type HeldOutRequest } from '../src/held-out.ts';

/** A text that holds out this many windows. */
const textOf = (windows: number, tokens = 4): Task =>
  text({ text: 'x'.repeat(10 * (windows * tokens + 1)), tokens });

/** The numbers of the sequences that a request asks for. */
function asked(task: Task, request: HeldOutRequest): number[] {
  const { first, count, size } = heldOutBatches(task, request);
  return Array.from({ length: count }, (_, i) => {
    const batch = task.batch(Rng.of(1), { index: first + i, size, split: 'test' });
    return Array.from({ length: batch.size }, (_, row) => (first + i) * size + row);
  }).flat();
}

describe('held-out sequences of a text', () => {
  it.each([4, 5, 7, 19, 64, 101, 940])(
    'are never asked for two purposes, whichever they are: %d of them',
    (windows) => {
      const task = textOf(windows);
      for (const batch of [1, 3, 16, 64]) {
        const sequences = { judge: 64, confirm: 64, final: 256 };
        const all = Object.entries(sequences).map(([purpose, count]) => {
          const request = { purpose, sequences: count, batch } as HeldOutRequest;
          return new Set([0, 1, 2, 3, 4].flatMap((round) => asked(task, { ...request, round })));
        });
        for (const set of all) expect(set.size).toBeGreaterThan(0);
        const together = new Set(all.flatMap((set) => [...set]));
        expect(together.size).toBe(all.reduce((sum, set) => sum + set.size, 0));
        expect(Math.max(...together)).toBeLessThan(windows);
      }
    },
  );

  it('are others in each round, as long as there are others', () => {
    const request = { purpose: 'confirm', sequences: 16, batch: 8 } as const;
    const rounds = [0, 1, 2, 3].map((round) => asked(textOf(200), { ...request, round }));
    const [first, second, third, fourth] = rounds as [number[], number[], number[], number[]];
    expect(new Set([...first, ...second, ...third]).size).toBe(48);
    expect(fourth).toEqual(first);
  });

  it('must be enough to tell the purposes apart', () => {
    expect(() => heldOutBatches(textOf(3), { purpose: 'judge', sequences: 8, batch: 2 })).toThrow(
      'task text: it holds out only 3 sequences',
    );
  });
});

it('sequences that are made without end are told apart by the random key', () => {
  const task = mqar({ vocabSize: 32, segments: [{ tokens: 16, pairs: 2 }] });
  const request = { purpose: 'final', sequences: 100, batch: 64, round: 9 } as const;
  expect(heldOutBatches(task, request)).toEqual({ first: 0, count: 2, size: 64 });
});

import { nd } from '@mnemix/testkit';
import { memory, MnemixError, openBackend, tensor2d, tidy, zeros, type Tensor } from '@mnemix/tensor';
import { beforeAll, describe, expect, it } from 'vitest';
import { selectSlots } from '../src/index.ts';
import * as portable from '../src/select-slots/portable.ts';
import { runOp } from './op-cases.ts';
import { byHeap, byPrefix, selectCases, streamsOf, type Streams } from './select-slots-cases.ts';

const matrix = (x: readonly (readonly number[])[]): Tensor => tensor2d(x as number[][], undefined, 'float32');

const inputsOf = ({ scores, held }: Streams) => ({ scores: matrix(scores), held: held && matrix(held) });

it.each(selectCases)('a heap, token by token, holds the top of the prefix: $name', (shape) => {
  const streams = streamsOf(shape);
  expect(byHeap(shape, streams)).toEqual(byPrefix(shape, streams));
});

describe.each(['cpu', 'wasm'] as const)('selectSlots on %s', (backend) => {
  beforeAll(() => openBackend(backend));

  const read = async ({ ids, scores }: { ids: Tensor; scores: Tensor }) => {
    expect([ids.dtype, scores.dtype]).toEqual(['int32', 'float32']);
    const found = { ids: await ids.array(), scores: await scores.array() };
    for (const x of [ids, scores]) x.dispose();
    return found;
  };

  describe.each(selectCases)('for $name', (shape) => {
    it('holds the top of every prefix, the older first among equals', async () => {
      const streams = streamsOf(shape);
      expect(await read(tidy(() => ({ ...selectSlots(inputsOf(streams), shape) })))).toEqual(
        byPrefix(shape, streams),
      );
    });

    it('so does the portable form', async () => {
      const streams = streamsOf(shape);
      expect(await read(tidy(() => portable.forward(inputsOf(streams), shape)))).toEqual(
        byPrefix(shape, streams),
      );
    });
  });

  it('goes on from what it held, wherever a stream is cut', async () => {
    const shape = selectCases[0]!;
    const { scores } = streamsOf(shape);
    const whole = byPrefix(shape, { scores });
    const last = (x: number[][][]) => x.map((blocks) => blocks.at(-1)!);
    for (const cut of [4, 8, 20]) {
      const run = (part: Streams) => read(tidy(() => ({ ...selectSlots(inputsOf(part), shape) })));
      const first = await run({ scores: scores.map((stream) => stream.slice(0, cut)) });
      const held = last(first.scores as number[][][]);
      const then = await run({ scores: scores.map((stream) => stream.slice(cut)), held });
      // Held slots by number, then tokens from the cut on.
      const firstIds = last(first.ids as number[][][]);
      const ids = last(then.ids as number[][][]).map((memory, s) =>
        memory.map((id) => (id < 0 ? -1 : id < shape.slots ? firstIds[s]![id]! : id - shape.slots + cut)),
      );
      expect(ids).toEqual(last(whole.ids));
      expect(last(then.scores as number[][][])).toEqual(last(whole.scores));
    }
  });

  it('is a constant to gradients', async () => {
    const scores = nd([2, 4], [1, 2, 3, 4, 5, 6, 7, 8]);
    const { gradients } = await runOp(
      { scores },
      (t) => ({
        best: selectSlots({ scores: t['scores']! }, { slots: 2, block: 2 }).scores,
        same: t['scores']!,
      }),
      { best: nd([2, 2, 2], Array(8).fill(1)), same: scores },
    );
    expect(gradients['scores']).toEqual(scores);
  });

  it('takes no tokens and no sequences', () => {
    tidy(() => {
      for (const [streams, tokens] of [
        [3, 0],
        [0, 6],
      ] as const) {
        const inputs = { scores: zeros([streams, tokens]), held: zeros([streams, 2]) };
        for (const { ids, scores } of [
          selectSlots(inputs, { slots: 4, block: 2 }),
          portable.forward(inputs, { slots: 4, block: 2 }),
        ]) {
          for (const x of [ids, scores]) expect(x.shape).toEqual([streams, tokens / 2, 4]);
          expect(ids.dtype).toBe('int32');
        }
      }
    });
  });

  it('refuses NaN, and leaks nothing', () => {
    const failure = (act: () => unknown): MnemixError => {
      try {
        act();
      } catch (error) {
        if (error instanceof MnemixError) return error;
      }
      throw new Error('no MnemixError');
    };
    const options = { slots: 2, block: 1 };
    tidy(() => {
      const whole = zeros([2, 3]);
      const broken = tensor2d([0, 1, 2, 3, NaN, 5], [2, 3]);
      const before = memory().numTensors;
      const ofScores = failure(() => selectSlots({ scores: broken }, options));
      expect(ofScores.message).toMatch(/selectSlots\(scores\): token 1 of sequence 1 is NaN/);
      expect([ofScores.code, ofScores.detail]).toEqual(['value', { sequence: 1, token: 1 }]);
      const ofHeld = failure(() => selectSlots({ scores: whole, held: broken }, options));
      expect([ofHeld.code, ofHeld.detail]).toEqual(['value', { sequence: 1, slot: 1 }]);
      expect(memory().numTensors).toBe(before);
    });
  });

  it('says what is wrong with its arguments', () => {
    tidy(() => {
      const scores = zeros([2, 6]);
      expect(() => selectSlots({ scores: zeros([6]) }, { slots: 2, block: 3 })).toThrow(
        /selectSlots\(scores\): expected shape \[S, n\]/,
      );
      expect(() => selectSlots({ scores, held: zeros([3, 2]) }, { slots: 2, block: 3 })).toThrow(
        /selectSlots\(held\): expected shape \[S=2, m0\]/,
      );
      expect(() => selectSlots({ scores, held: zeros([2, 0]) }, { slots: 2, block: 3 })).toThrow(
        /selectSlots\(held\): it has no slots/,
      );
      for (const slots of [0, -1, 1.5, NaN]) {
        expect(() => selectSlots({ scores }, { slots, block: 3 })).toThrow(/selectSlots\(slots\)/);
      }
      expect(() => selectSlots({ scores }, { slots: 2, block: 0 })).toThrow(/selectSlots\(block\): it is 0/);
      expect(() => selectSlots({ scores }, { slots: 2, block: 4 })).toThrow(
        /selectSlots\(block\): blocks of 4 do not divide 6 tokens/,
      );
    });
  });
});

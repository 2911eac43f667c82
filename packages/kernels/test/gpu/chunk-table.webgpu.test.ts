// The table of chunks and the running sums of their gates, for more sequences than a workgroup looks at at once.
import { closeBackend, defineOp, openBackend, type Tensor } from '@mnemix/tensor';
import { describeOnWebgpu, nd } from '@mnemix/testkit';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { gpuKernel } from '../../src/gpu/bridge.ts';
import { chunkTable, mostChunks, runningSums, tableScratch, type Gate } from '../../src/gpu/scan/stages.ts';
import { int32, poison, toTensor } from '../op-cases.ts';

// A software adapter takes a while to compile a pipeline.
vi.setConfig({ testTimeout: 300_000 });

const range = (length: number) => Array.from({ length }, (_, i) => i);

/** Some empty, some of several chunks, some with rows of no sequence behind them. */
function ragged(count: number) {
  const lengths = range(count).map((s) => (s % 10 === 1 ? (s * 37) % 201 : s % 4));
  let rows = 0;
  const starts = lengths.map((length, s) => {
    const start = rows;
    rows += length + (s % 3);
    return start;
  });
  return { starts, lengths, rows };
}

const chunksOf = ({ starts, lengths }: ReturnType<typeof ragged>) =>
  lengths.map((length, s) =>
    range(Math.ceil(length / 64)).map((index) => [
      starts[s]! + 64 * index,
      Math.min(64, length - 64 * index),
      s,
      index,
    ]),
  );

const [heads, dk] = [2, 35];
/** Few bits each, so that their sums are exact. */
const gateOf = (index: number) => -(index % 5) / 4;

describeOnWebgpu('the table of chunks', (backend) => {
  beforeAll(() => openBackend(backend));
  afterAll(closeBackend);

  for (const gate of ['none', 'scalar', 'vector'] as const satisfies Gate[]) {
    const channels = gate === 'vector' ? heads * dk : heads;

    it.each([
      { count: 3, isKept: false },
      { count: 300, isKept: false },
      ...(gate === 'none' ? [] : [{ count: 300, isKept: true }]),
    ])(`is right for $count sequences, decay ${gate}, kept: $isKept`, async ({ count, isKept }) => {
      const sequences = ragged(count);
      const { rows, starts, lengths } = sequences;
      const chunks = mostChunks({ rows, count, maxLength: 200 });
      const sizes = { rows, count, heads, dk, dv: 4, gate, chunks, before: false };
      const outputs = tableScratch(sizes);
      const op = defineOp<Record<string, Tensor>, Record<string, Tensor>, object>({
        name: `TestChunkTable ${gate} ${count} ${isKept}`,
        outputs: Object.keys(outputs),
        integers: ['starts', 'lengths'],
        portable: () => {
          throw new Error('not on WebGPU');
        },
        kernels: gpuKernel(() => ({
          outputs,
          dispatches: isKept
            ? [...chunkTable({ ...sizes, gate: 'none' }), runningSums(sizes)]
            : chunkTable(sizes),
        })),
      });
      await poison(Object.values(outputs).map(({ shape }) => shape));
      const found = op(
        {
          starts: int32(starts),
          lengths: int32(lengths),
          logDecay: toTensor(nd([rows, channels], range(rows * channels).map(gateOf))),
        },
        {},
      );
      const data = async (name: string) => Array.from(await found[name]!.data());

      const bySequence = chunksOf(sequences);
      const there = bySequence.flat();
      const leftOver = range(chunks - there.length).map(() => [0, 0, 0, 0]);
      expect(await data('chunks')).toEqual([...there, ...leftOver].flat());
      let first = 0;
      expect(await data('sequenceChunks')).toEqual(
        bySequence.flatMap(({ length }) => [(first += length) - length, length]),
      );

      if (gate === 'none') return;
      const sums = await data('sums');
      const wanted = [...sums];
      for (const [start = 0, tokens = 0] of there) {
        for (const channel of range(channels)) {
          let sum = 0;
          for (const t of range(tokens)) {
            const at = (start + t) * channels + channel;
            sum += gateOf(at);
            const fraction = sum - Math.ceil(sum);
            wanted[2 * at] = sum - fraction;
            wanted[2 * at + 1] = fraction;
          }
        }
      }
      expect(sums).toEqual(wanted);
    });
  }
});

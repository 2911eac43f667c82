// The plan by loops over typed arrays.
import { hostKernel } from '@mnemix/tensor';
import type { Attrs, Inputs } from './portable.ts';

export const forward = hostKernel<Inputs, Attrs>({
  outputs: ({ choices, starts }, { memories, isShared }) => {
    const [rows = 0, given = 0] = choices.shape;
    const chosen = given + Number(isShared);
    const buckets = memories * (starts.shape[0] as number);
    const copies = rows * chosen;
    const shapes = [
      [copies],
      [rows, chosen],
      [buckets],
      [buckets],
      [copies],
      [memories],
      [memories],
      [copies],
    ];
    return shapes.map((shape) => ({ shape, dtype: 'int32' }));
  },
  run: (inputs, outputs, { memories, isShared }) => {
    const choices = inputs.choices.data;
    const rowSequence = inputs.rowSequence.data;
    const count = inputs.starts.data.length;
    const [rows = 0, given = 0] = inputs.choices.shape;
    const chosen = given + Number(isShared);
    const copies = rows * chosen;
    const [source, position, starts, lengths, rowBucket, groupStarts, groupLengths, rowGroup] = outputs.map(
      ({ data }) => data as Int32Array,
    ) as EightOf<Int32Array>;

    const bucketOf = (copy: number): number => {
      const row = Math.floor(copy / chosen);
      const sequence = rowSequence[row] as number;
      const choice = copy - row * chosen;
      const memory = choice < given ? (choices[row * given + choice] as number) : memories - 1;
      return sequence < 0 || memory < 0 || memory >= memories ? -1 : memory * count + sequence;
    };
    lengths.fill(0);
    for (let copy = 0; copy < copies; copy++) {
      const bucket = bucketOf(copy);
      if (bucket >= 0) lengths[bucket] = (lengths[bucket] as number) + 1;
    }
    let first = 0;
    for (let bucket = 0; bucket < lengths.length; bucket++) {
      starts[bucket] = first;
      first += lengths[bucket] as number;
    }
    for (let memory = 0; memory < memories; memory++) {
      const [from, to] = [memory * count, (memory + 1) * count];
      groupStarts[memory] = from < starts.length ? (starts[from] as number) : 0;
      groupLengths[memory] =
        (to < starts.length ? (starts[to] as number) : first) - (groupStarts[memory] as number);
    }
    for (const output of [source, rowBucket, rowGroup]) output.fill(-1);
    const next = Int32Array.from(starts);
    for (let copy = 0; copy < copies; copy++) {
      const bucket = bucketOf(copy);
      const place = bucket < 0 ? -1 : (next[bucket] as number);
      position[copy] = place;
      if (bucket < 0) continue;
      next[bucket] = place + 1;
      source[place] = Math.floor(copy / chosen);
      rowBucket[place] = bucket;
      rowGroup[place] = Math.floor(bucket / count);
    }
  },
});

type EightOf<T> = [T, T, T, T, T, T, T, T];

// The choice of slots by insertion into sorted slots, over typed arrays.
import { hostKernel, MnemixError, type HostArray } from '@mnemix/tensor';
import { LOWEST, type Attrs, type Inputs } from './portable.ts';

export const forward = hostKernel<Inputs, Attrs>({
  outputs: ({ scores }, { slots, block }) => {
    const [count = 0, tokens = 0] = scores.shape;
    const shape = [count, tokens / block, slots];
    return [{ shape, dtype: 'int32' }, { shape }];
  },
  run: ({ scores, held }, [ids, best], { slots, block }) => {
    checkNumbers('scores', 'token', scores);
    if (held) checkNumbers('held', 'slot', held);
    const [count = 0, tokens = 0] = scores.shape;
    const heldSlots = held?.shape[1] ?? 0;
    const slotIds = (ids as HostArray).data;
    const slotScores = (best as HostArray).data;
    slotIds.fill(-1);
    slotScores.fill(-Infinity);

    /** Into the block's slots first … first + slots − 1, in descending order; behind those of equal score. */
    const insert = (first: number, id: number, score: number): void => {
      let slot = first + slots - 1;
      if (score <= LOWEST || score <= (slotScores[slot] as number)) return;
      for (; slot > first && score > (slotScores[slot - 1] as number); slot--) {
        slotScores[slot] = slotScores[slot - 1] as number;
        slotIds[slot] = slotIds[slot - 1] as number;
      }
      slotScores[slot] = score;
      slotIds[slot] = id;
    };

    for (let sequence = 0, first = 0; sequence < count; sequence++) {
      for (let token = 0; token < tokens; first += slots) {
        if (token > 0) {
          slotIds.copyWithin(first, first - slots, first);
          slotScores.copyWithin(first, first - slots, first);
        } else if (held) {
          for (let slot = 0; slot < heldSlots; slot++)
            insert(first, slot, held.data[sequence * heldSlots + slot] as number);
        }
        for (const end = token + block; token < end; token++)
          insert(first, heldSlots + token, scores.data[sequence * tokens + token] as number);
      }
    }
  },
});

/** @throws MnemixError `value` for NaN, which has no rank */
function checkNumbers(argument: string, entry: string, { data, shape }: HostArray): void {
  const width = shape[1] as number;
  for (let i = 0; i < data.length; i++) {
    if (!Number.isNaN(data[i])) continue;
    const sequence = Math.floor(i / width);
    throw new MnemixError({
      code: 'value',
      where: `selectSlots(${argument})`,
      message: `${entry} ${i % width} of sequence ${sequence} is NaN.`,
      fix: 'Check what the scores are made of; −Infinity marks what is no candidate.',
      detail: { sequence, [entry]: i % width },
    });
  }
}

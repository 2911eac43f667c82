// B'MOJO on recall beyond its window, beside its window alone and its fading memory alone.
//
// Seen with seeds 1, 2 and 3 on WASM: 99 % confirmed after 200, 350 and 600 steps (99.8 %, 99.3 % and 98.9 % of the last, unseen
// queries). With seed 1 the fading memory alone had 20.6 % after 600 steps. All three models took 4m37s on two busy cores.
import type { ConfigInput } from '../config.ts';
import { farRecall } from './far-recall.ts';

export const bmojo: ConfigInput = {
  ...farRecall,
  name: 'bmojo',
  model: {
    ...farRecall.model,
    pattern: ['bmojo'],
    cell: 'mamba2',
    // Twice as many slots as pairs. A value alone does not carry its key: the output of the fading memory does, through its
    // short convolution.
    bmojo: { ...farRecall.model.bmojo, eidetic: { slots: 16, payload: 'output' } },
  },
  beside: { window: { model: { pattern: ['attention'] } }, memory: { model: { pattern: ['memory'] } } },
};

// B'MOJO-F, which keeps nothing verbatim, on recall beyond its window, beside its window alone and its fading memory alone.
//
// Seen with seeds 1, 2 and 3 on WASM: 99 % confirmed after 250 steps, not within 600 (82.5 %), and after 300. This memory is large
// enough to do without the window: alone it got there with seed 1 too, after 400 steps.
import type { ConfigInput } from '../config.ts';
import { farRecall } from './far-recall.ts';

export const bmojoF: ConfigInput = {
  ...farRecall,
  name: 'bmojo-f',
  model: {
    ...farRecall.model,
    pattern: ['bmojo'],
    cell: 'gated_delta_net',
    // The usual start (16) forgets within a few tokens where there is only one head to draw for.
    cellOptions: { initialDecay: 1 },
  },
  beside: { window: { model: { pattern: ['attention'] } }, memory: { model: { pattern: ['memory'] } } },
};

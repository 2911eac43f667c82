// What the routers of a model's Mixture-of-Memories layers did, in figures.
import { mixerOf, type LmConfig } from '@mnemix/lm';
import type { Routed } from '../training.ts';
import type { LayerRouting } from './record.ts';

/** Tokens, at most, of the sequence whose routing is kept in full. */
const EXAMPLE_TOKENS = 256;

/** The blocks that have a router, in order: a mixture, or B'MOJO over one. */
export const routedLayers = (config: LmConfig): readonly number[] =>
  Array.from({ length: config.layers }, (_, layer) => layer).filter((layer) => {
    const mixer = mixerOf(config, layer);
    return mixer.type === 'mom' || (mixer.type === 'bmojo' && mixer.fading?.type === 'mom');
  });

/** Each memory's share of the choices of tokens. */
export function loadOf({ choices, memories }: Routed): readonly number[] {
  const counts = new Array<number>(memories).fill(0);
  for (const memory of choices) counts[memory]! += 1;
  return counts.map((count) => count / choices.length);
}

/** What is kept of the routing after the training, beside the loads during it. */
export function layerRouting(routed: Routed, layer: number, load: LayerRouting['load']): LayerRouting {
  const { ids, tokens, choices, topK, memories } = routed;
  const length = Math.min(tokens, EXAMPLE_TOKENS);
  return {
    layer,
    memories,
    topK,
    load,
    example: {
      ids: [...ids.subarray(0, length)],
      chosen: Array.from({ length }, (_, t) => [...choices.subarray(t * topK, (t + 1) * topK)]),
    },
    overlap: overlapOf(routed),
  };
}

/** Share of the distinct tokens of memory i that memory j has been sent too; 0 where memory i had none. */
function overlapOf({ ids, choices, topK, memories }: Routed): readonly (readonly number[])[] {
  const seen = Array.from({ length: memories }, () => new Set<number>());
  choices.forEach((memory, at) => seen[memory]!.add(ids[Math.floor(at / topK)] as number));
  return seen.map((own) =>
    seen.map((other) =>
      own.size === 0 ? 0 : [...own].filter((token) => other.has(token)).length / own.size,
    ),
  );
}

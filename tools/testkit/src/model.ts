/** fla's language models in float64: residual blocks of a mixer and a SwiGLU, one sequence at a time. */
import { at, linear, stack, zipWith, type NdArray } from './array.ts';
import { rmsNorm, swiGlu } from './blocks.ts';
import {
  cellForward,
  parameter,
  setting,
  subtree,
  type CellOracle,
  type FlaConfig,
  type Parameters,
} from './cells.ts';
import { deltaNet, gatedDeltaNet } from './delta-cells.ts';
import { gla, linearAttention, retnet } from './diagonal-cells.ts';
import { momForward } from './mom.ts';

/** The cells under fla's `model_type`. */
export const cells = {
  linear_attn: linearAttention,
  retnet,
  gla,
  delta_net: deltaNet,
  gated_deltanet: gatedDeltaNet,
} as const satisfies Record<string, CellOracle>;

/** What a model says about one sequence. */
export interface ModelResult {
  /** [T, vocab]. */
  readonly logits: NdArray;
  /** One [T, M] a layer; empty unless the model is a MoM. */
  readonly routerLogits: readonly NdArray[];
}

/** Logits of a whole sequence. `config` is the content of fla's `config.json`, `ids` T token numbers. */
export function modelForward(parameters: Parameters, config: FlaConfig, ids: ArrayLike<number>): ModelResult {
  const epsilon = setting(config, 'norm_eps', 1e-6);
  const embeddings = parameter(parameters, 'model.embeddings.weight');
  const add = (a: NdArray, b: NdArray): NdArray => zipWith(a, b, (x, y) => x + y);
  const routerLogits: NdArray[] = [];
  let h = stack(Array.from(ids, (id) => at(embeddings, id)));
  for (let i = 0; i < setting(config, 'num_hidden_layers', 0); i++) {
    const layer = subtree(parameters, `model.layers.${i}.`);
    const mixerInput = rmsNorm(h, parameter(layer, 'attn_norm.weight'), epsilon);
    const mixed = mix(subtree(layer, 'attn.'), { ...config, norm_eps: epsilon }, mixerInput);
    if (mixed.routerLogits) routerLogits.push(mixed.routerLogits);
    h = add(h, mixed.y);
    const mlpInput = rmsNorm(h, parameter(layer, 'mlp_norm.weight'), epsilon);
    const [gate, up, down] = ['gate', 'up', 'down'].map((name) =>
      parameter(layer, `mlp.${name}_proj.weight`),
    );
    h = add(h, swiGlu(mlpInput, { gate: gate!, up: up!, down: down! }));
  }
  const normed = rmsNorm(h, parameter(parameters, 'model.norm.weight'), epsilon);
  return { logits: linear(normed, parameters['lm_head.weight'] ?? embeddings), routerLogits };
}

function mix(parameters: Parameters, config: FlaConfig, x: NdArray): { y: NdArray; routerLogits?: NdArray } {
  const type = setting<string>(config, 'model_type', '');
  if (type === 'mom') return momForward(parameters, config, x);
  const cell = (cells as Partial<Record<string, CellOracle>>)[type];
  if (cell === undefined) throw new Error(`No float64 model for model_type '${type}'`);
  return cellForward(cell, parameters, config, x);
}

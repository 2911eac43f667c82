// What a training trains: a language model as it is, or a model that squeezes a sequence into its last position (MAD's compression).
import { crossEntropy } from '@mnemix/kernels';
import { initNormal, linear, type LinearParams } from '@mnemix/layers';
import type { LanguageModel, LmLoss, LmParams } from '@mnemix/lm';
import {
  add,
  argMax,
  reshape,
  silu,
  slice,
  tensor2d,
  tidy,
  type ParamTree,
  type Rng,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
} from '@mnemix/tensor';

export interface Learner {
  init(rng: Rng): ParamTree;
  /** ids and targets int32 [B,T]. */
  loss: (
    params: ParamTree,
    ids: Tensor2D,
    targets: Tensor2D,
    options?: Parameters<LanguageModel['loss']>[3],
  ) => Pick<LmLoss, 'loss' | 'crossEntropy' | 'correct' | 'counted'>;
  /** The token that is named at each position, [B,T]. */
  predict(params: ParamTree, ids: Tensor2D): Tensor;
  /** The language model's own part. */
  modelParams(params: ParamTree): LmParams;
}

/** A language model learns to name the target of each position there. */
export const lmLearner = (model: LanguageModel): Learner => ({
  init: model.init,
  loss: (params, ids, targets, options) => model.loss(params as LmParams, ids, targets, options),
  predict: (params, ids) => tidy(() => argMax(model.forward(params as LmParams, ids).logits, 2)),
  modelParams: (params) => params as LmParams,
});

interface CompressorParams {
  readonly encoder: LmParams;
  readonly decoder: { readonly up: LinearParams; readonly down: LinearParams };
  readonly [name: string]: ParamTree;
}

/** Inner width of the decoder over the model's. */
const EXPANSION = 2;

/**
 * All targets are told from what the model makes of the last position: a two-layer MLP, the same for all positions, of that plus a
 * fixed sine-cosine encoding of the position asked for (Poli et al. 2024, MAD's compression).
 */
export function compressor(model: LanguageModel): Learner {
  const { width, vocabSize } = model.config;
  const hidden = EXPANSION * width;

  const logitsOf = ({ encoder, decoder }: CompressorParams, ids: Tensor2D): Tensor2D => {
    const [batch, tokens] = ids.shape;
    const { hidden: all } = model.forward(encoder, ids);
    const last = slice(all, [0, tokens - 1, 0], [batch, 1, width]);
    const asked = reshape(add(last, positions(tokens, width)), [batch * tokens, width]) as Tensor2D;
    return linear(silu(linear(asked, decoder.up)), decoder.down);
  };

  return {
    init: (rng): CompressorParams => ({
      encoder: model.init(rng.fold('encoder')),
      decoder: {
        up: initNormal(rng.fold('up'), width, hidden, width ** -0.5),
        down: initNormal(rng.fold('down'), hidden, vocabSize, hidden ** -0.5),
      },
    }),
    loss: (params, ids, targets) =>
      tidy(() => {
        const logits = logitsOf(params as CompressorParams, ids);
        const labels = reshape(targets, [ids.size]) as Tensor1D;
        const { loss, correct, counted } = crossEntropy({ logits, targets: labels });
        return { loss, crossEntropy: loss, correct, counted } as never;
      }),
    predict: (params, ids) =>
      tidy(() => reshape(argMax(logitsOf(params as CompressorParams, ids), 1), ids.shape)),
    modelParams: (params) => (params as CompressorParams).encoder,
  };
}

/** sin and cos of position · 10000^(−i/(d/2)) for i < d/2, [tokens, d] (Vaswani et al. 2017). */
function positions(tokens: number, width: number): Tensor {
  const half = Math.ceil(width / 2);
  const values = new Float32Array(tokens * width);
  for (let t = 0; t < tokens; t++) {
    for (let i = 0; i < width; i++) {
      const angle = t * 10_000 ** (-(i % half) / half);
      values[t * width + i] = i < half ? Math.sin(angle) : Math.cos(angle);
    }
  }
  return tensor2d(values, [tokens, width]);
}

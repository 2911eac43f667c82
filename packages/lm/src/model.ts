// Residual blocks stacked to a language model, with fla's parameter names:
//   h ← h + mixer(RMSNorm(h)) ; h ← h + SwiGLU(RMSNorm(h)) ; logits = W_head RMSNorm(h)
import { crossEntropy, rmsNorm, type Segments } from '@mnemix/kernels';
import {
  initNormal,
  initSwiGluMlp,
  linear,
  swiGluMlp,
  type ForwardOptions,
  type LinearParams,
  type Mixer,
  type State,
  type SwiGluMlpParams,
} from '@mnemix/layers';
import { balanceLoss, routingLoad, zLoss, type RoutingSample } from '@mnemix/router';
import {
  add,
  checkShapes,
  countElements,
  gatherRows,
  mean,
  MnemixError,
  mul,
  ones,
  reshape,
  scalar,
  stack,
  tidy,
  type ParamTree,
  type Rng,
  type Scalar,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { checkLmConfig } from './check-config.ts';
import { buildMixer, mixerOf, type LmConfig } from './config.ts';
import { checkedIds, NO_LABEL } from './tokens.ts';

interface NormParams {
  readonly weight: Tensor1D;
  readonly [name: string]: Tensor1D;
}

interface BlockParams {
  readonly attn_norm: NormParams;
  readonly attn: ParamTree;
  readonly mlp_norm?: NormParams;
  readonly mlp?: SwiGluMlpParams;
  readonly [name: string]: ParamTree;
}

export interface LmParams {
  readonly model: {
    readonly embeddings: LinearParams;
    readonly layers: readonly BlockParams[];
    readonly norm: NormParams;
    readonly [name: string]: ParamTree;
  };
  readonly lm_head?: LinearParams;
  readonly [name: string]: ParamTree;
}

export interface LmState {
  readonly layers: readonly State[];
  readonly [name: string]: readonly State[];
}

export interface LmForward {
  /** [B,T,V] */
  readonly logits: Tensor3D;
  readonly state: LmState;
  /** Routing of every MoM layer, in order. */
  readonly routings: readonly RoutingSample[];
}

/** Scalars of one batch; all tensors. */
export interface LmLoss {
  /** What is minimised: cross-entropy plus weighted auxiliary losses. */
  readonly loss: Scalar;
  /** Mean over the labelled tokens, in nats. */
  readonly crossEntropy: Scalar;
  readonly auxiliary: Scalar;
  /** Labelled tokens whose largest logit is the label. */
  readonly correct: Scalar;
  /** Labelled tokens. */
  readonly counted: Scalar;
  /**
   * Share of tokens that each memory received, mean over the MoM layers, [M]; absent without a router, and where the
   * layers have different numbers of memories (forward's `routings` tell each layer's).
   */
  readonly load?: Tensor1D;
}

export interface LanguageModel {
  readonly config: LmConfig;
  init(rng: Rng): LmParams;
  initialState(sequences: number): LmState;
  /** ids int32 [B,T], as `tokenTensor` makes them: host backends refuse ids out of range, WebGPU cannot see them. */
  forward(params: LmParams, ids: Tensor2D, options?: ForwardOptions<LmState>): LmForward;
  /** ids int32 [B], one token for each sequence → logits [B,V]. */
  step(params: LmParams, ids: Tensor1D, state: LmState): { logits: Tensor2D; state: LmState };
  /** targets int32 [B,T]; −100 where there is no label. */
  loss(params: LmParams, ids: Tensor2D, targets: Tensor2D, options?: { segments?: Segments }): LmLoss;
  stateBytes(sequences: number): number;
  parameterCount(params: LmParams): { total: number; activated: number };
}

/** Whether there are routings, all over the same number of memories. */
const alike = (routings: readonly RoutingSample[]): boolean =>
  new Set(routings.map(({ logits }) => logits.shape[1])).size === 1;

/** The mixers check their own part of the state. */
function checkLayers(state: LmState, layers: number): void {
  const found = Array.isArray(state.layers) ? state.layers.length : undefined;
  if (found === layers) return;
  throw new MnemixError({
    code: 'state',
    where: 'lm.forward(state)',
    message: `expected the states of ${layers} layers, found ${found ?? 'no list of layers'}.`,
    fix: 'Pass a state that this model returned, or initialState(sequences).',
  });
}

/** @throws MnemixError `config` where the configuration does not describe a model */
export function createLm(config: LmConfig): LanguageModel {
  checkLmConfig(config);
  const {
    vocabSize,
    width,
    layers,
    mlp,
    normEps = 1e-6,
    tieEmbeddings = false,
    initializerRange = 0.02,
  } = config;
  const mixers: readonly Mixer[] = Array.from({ length: layers }, (_, layer) =>
    buildMixer(mixerOf(config, layer), width),
  );
  const norm = <T extends Tensor2D | Tensor3D>(x: T, { weight }: NormParams): T =>
    rmsNorm({ x, weight }, { eps: normEps }) as T;
  const onesVector = (): NormParams => ({ weight: ones([width]) as Tensor1D });

  const forward: LanguageModel['forward'] = (params, ids, { state, segments } = {}) => {
    const { B: batch = 0, T: tokens = 0 } = checkShapes('lm.forward', { ids: [ids, ['B', 'T']] });
    if (state !== undefined) checkLayers(state, layers);
    return tidy(() => {
      const rows = batch * tokens;
      const { embeddings, layers: blocks, norm: lastNorm } = params.model;
      const known = checkedIds(reshape(ids, [rows]), vocabSize, 'lm.forward(ids)');
      let h = gatherRows(embeddings.weight, known) as Tensor2D;
      const states: State[] = [];
      const routings: RoutingSample[] = [];
      mixers.forEach((mixer, layer) => {
        const block = blocks[layer] as BlockParams;
        const x = reshape(norm(h, block.attn_norm), [batch, tokens, width]) as Tensor3D;
        const mixed = mixer.forward(block.attn, x, { state: state?.layers[layer], segments });
        states.push(mixed.state);
        if (mixed.aux.routing) routings.push(mixed.aux.routing as unknown as RoutingSample);
        h = add(h, reshape(mixed.y, [rows, width])) as Tensor2D;
        if (block.mlp && block.mlp_norm)
          h = add(h, swiGluMlp(block.mlp, norm(h, block.mlp_norm))) as Tensor2D;
      });
      const logits = linear(norm(h, lastNorm), params.lm_head ?? { weight: embeddings.weight });
      return {
        logits: reshape(logits, [batch, tokens, vocabSize]),
        state: { layers: states },
        routings,
      } as never;
    });
  };

  const auxiliaryLoss = (routings: readonly RoutingSample[]): Scalar => {
    const { balance = 0.01, balanceScope = 'pooled', z = 0 } = config.auxiliary ?? {};
    let sum = scalar(0);
    if (routings.length === 0) return sum;
    if (balance !== 0) sum = add(sum, mul(balanceLoss(routings, balanceScope), balance));
    if (z !== 0) sum = add(sum, mul(zLoss(routings), z));
    return sum;
  };

  return {
    config,

    init: (rng) => ({
      model: {
        embeddings: initNormal(rng.fold('embeddings'), width, vocabSize, initializerRange),
        layers: mixers.map((mixer, layer) => ({
          attn_norm: onesVector(),
          attn: mixer.init(rng.fold('attn').fold(layer)),
          ...(mlp
            ? {
                mlp_norm: onesVector(),
                mlp: initSwiGluMlp(rng.fold('mlp').fold(layer), width, mlp.hidden, initializerRange),
              }
            : {}),
        })),
        norm: onesVector(),
      },
      ...(tieEmbeddings
        ? {}
        : { lm_head: initNormal(rng.fold('lm_head'), width, vocabSize, initializerRange) }),
    }),

    initialState: (sequences) => ({ layers: mixers.map((mixer) => mixer.initialState(sequences)) }),

    forward,

    step: (params, ids, state) =>
      tidy(() => {
        const { B: batch = 0 } = checkShapes('lm.step', { ids: [ids, ['B']] });
        const result = forward(params, reshape(ids, [batch, 1]), { state });
        return { logits: reshape(result.logits, [batch, vocabSize]), state: result.state } as never;
      }),

    loss: (params, ids, targets, { segments } = {}) =>
      tidy(() => {
        checkShapes('lm.loss', { ids: [ids, ['B', 'T']], targets: [targets, ['B', 'T']] });
        const { logits, routings } = forward(params, ids, { segments });
        const flat = reshape(logits, [ids.size, vocabSize]) as Tensor2D;
        const labels = reshape(targets, [ids.size]) as Tensor1D;
        const { loss, correct, counted } = crossEntropy(
          { logits: flat, targets: checkedIds(labels, vocabSize, 'lm.loss(targets)', { besides: NO_LABEL }) },
          { ignoreIndex: NO_LABEL },
        );
        const auxiliary = auxiliaryLoss(routings);
        return {
          loss: add(loss, auxiliary),
          crossEntropy: loss,
          auxiliary,
          correct,
          counted,
          ...(alike(routings) ? { load: mean(stack(routings.map(routingLoad)), 0) } : {}),
        } as never;
      }),

    stateBytes: (sequences) => mixers.reduce((sum, mixer) => sum + mixer.stateBytes(sequences), 0),

    parameterCount: (params) => {
      const total = countElements(params);
      const idle = mixers.reduce((sum, mixer, layer) => {
        const { attn } = params.model.layers[layer] as BlockParams;
        return sum + countElements(attn) - mixer.activatedParameters(attn);
      }, 0);
      return { total, activated: total - idle };
    },
  };
}

// Residual blocks stacked to a language model, with fla's parameter names:
//   h ← h + mixer(norm(h)) ; h ← h + mlp(norm(h)) ; logits = W_head norm(h)
import { crossEntropy, embedding, joinRows } from '@mnemix/kernels';
import {
  initNormal,
  linear,
  type CrossLayer,
  type ForwardOptions,
  type LinearParams,
  type SharedParameter,
  type State,
  type TokenRows,
} from '@mnemix/layers';
import { balanceLoss, routingLoad, zLoss, type RoutingSample } from '@mnemix/router';
import {
  add,
  checkShapes,
  concat,
  countElements,
  MnemixError,
  mul,
  reshape,
  scalar,
  tidy,
  type ParamTree,
  type Rng,
  type Scalar,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { checkLmConfig } from './check-config.ts';
import { branchesOf, normOf, type NormParams } from './block.ts';
import type { LmConfig } from './config.ts';
import { checkedIds, NO_LABEL } from './tokens.ts';

/** `attn` and `attn_norm`, with an MLP `mlp` and `mlp_norm`; in the first block of a model with LayerNorms `pre_norm`. */
interface BlockParams {
  readonly attn_norm: NormParams;
  readonly attn: ParamTree;
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

/** The states of a block's branches. */
export interface BlockState {
  readonly attn: State;
  readonly mlp?: State;
  readonly [name: string]: State;
}

export interface LmState {
  readonly layers: readonly BlockState[];
  readonly [name: string]: readonly BlockState[];
}

export interface LmForward {
  /** [B,T,V] */
  readonly logits: Tensor3D;
  /** What the head makes logits of: the stream behind the last norm, [B,T,d]. */
  readonly hidden: Tensor3D;
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
   * layers have different numbers of memories or choices (forward's `routings` tell each layer's).
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
  step(
    params: LmParams,
    ids: Tensor1D,
    state: LmState,
    crossLayer?: CrossLayer,
  ): { logits: Tensor2D; state: LmState };
  /** targets int32 [B,T]; −100 where there is no label. */
  loss(
    params: LmParams,
    ids: Tensor2D,
    targets: Tensor2D,
    options?: Pick<ForwardOptions, 'segments' | 'crossLayer'>,
  ): LmLoss;
  /** Bytes of the state of `sequences` sequences; with softmax attention, after `tokens` tokens. */
  stateBytes(sequences: number, tokens?: number): number;
  parameterCount(params: LmParams): { total: number; activated: number };
}

/** The routings as one, if there are any and all choose as many of as many memories. */
function asOne(routings: readonly RoutingSample[]): RoutingSample | undefined {
  const kinds = new Set(routings.map(({ logits, choices }) => `${logits.shape[1]} ${choices.shape[1]}`));
  if (kinds.size !== 1) return undefined;
  const rows = <T extends Tensor>(part: (sample: RoutingSample) => T): T =>
    concat(
      routings.map((sample) => part(sample) as never),
      0,
    ) as unknown as T;
  return {
    // They alone have a gradient, which is taken apart again in one go.
    logits: joinRows(routings.map(({ logits }) => logits)) as Tensor2D,
    choices: rows(({ choices }) => choices),
    ...(routings.every((sample) => sample.rowSequence)
      ? { rowSequence: rows((sample) => sample.rowSequence as Tensor1D) }
      : {}),
  };
}

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
  const { vocabSize, width, layers, tieEmbeddings = false, initializerRange = 0.02 } = config;
  const blocks = Array.from({ length: layers }, (_, layer) => branchesOf(config, layer));
  const branches = blocks.flat();
  const norm = normOf(config);
  const sharedParameters = new Map<string, SharedParameter>(
    branches.flatMap(({ mixer }) => Object.entries(mixer.sharedParameters ?? {})),
  );
  const sharedOf = (params: LmParams, layer: number) =>
    Object.fromEntries(
      Array.from(sharedParameters, ([name, { part }]) => [name, part(params.model[name] as Tensor, layer)]),
    );

  const forward: LanguageModel['forward'] = (params, ids, { state, segments, crossLayer: given } = {}) => {
    const { B: batch = 0, T: tokens = 0 } = checkShapes('lm.forward', { ids: [ids, ['B', 'T']] });
    if (state !== undefined) checkLayers(state, layers);
    return tidy(() => {
      const rows = batch * tokens;
      const { embeddings, layers: blockParams, norm: lastNorm } = params.model;
      const known = checkedIds(reshape(ids, [rows]), vocabSize, 'lm.forward(ids)');
      let h = embedding({ weight: embeddings.weight, ids: known }) as Tensor2D;
      /** What the branch before adds to h: the next norm does, so that the sum is not a pass of its own. */
      let added: Tensor2D | undefined;
      const nextNorm = (own: NormParams): Tensor2D => {
        if (!added) return norm.apply(own, h);
        const { sum, y } = norm.ofSum(own, h, added);
        h = sum;
        return y;
      };
      let handedOn: TokenRows = given?.tokens ?? {};
      const routings: RoutingSample[] = [];
      const states = blocks.map((block, layer) => {
        const own = blockParams[layer] as BlockParams;
        if (own.pre_norm) h = norm.apply(own.pre_norm as NormParams, h);
        const crossLayer = { tokens: handedOn, parameters: sharedOf(params, layer) };
        const after = block.map(({ name, mixer }): [string, State] => {
          const x = reshape(nextNorm(own[`${name}_norm`] as NormParams), [batch, tokens, width]);
          const before = state && (state.layers[layer]?.[name] ?? {});
          const result = mixer.forward(own[name], x as Tensor3D, { state: before, segments, crossLayer });
          if (result.aux.routing) routings.push(result.aux.routing as unknown as RoutingSample);
          handedOn = { ...handedOn, ...result.handOn };
          added = reshape(result.y, [rows, width]) as Tensor2D;
          return [name, result.state];
        });
        return Object.fromEntries(after) as BlockState;
      });
      const hidden = nextNorm(lastNorm);
      const logits = linear(hidden, params.lm_head ?? { weight: embeddings.weight });
      return {
        logits: reshape(logits, [batch, tokens, vocabSize]),
        hidden: reshape(hidden, [batch, tokens, width]),
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
        layers: blocks.map((block, layer) => ({
          ...(layer === 0 && config.norm === 'layer' ? { pre_norm: norm.init() } : {}),
          ...(Object.fromEntries(
            block.flatMap(({ name, mixer }) => [
              [`${name}_norm`, norm.init()],
              [name, mixer.init(rng.fold(name).fold(layer))],
            ]),
          ) as unknown as BlockParams),
        })),
        norm: norm.init(),
        ...Object.fromEntries(Array.from(sharedParameters, ([name, { init }]) => [name, init(layers)])),
      },
      ...(tieEmbeddings
        ? {}
        : { lm_head: initNormal(rng.fold('lm_head'), width, vocabSize, initializerRange) }),
    }),

    initialState: (sequences) => ({
      layers: blocks.map(
        (block) =>
          Object.fromEntries(
            block.map(({ name, mixer }) => [name, mixer.initialState(sequences)]),
          ) as BlockState,
      ),
    }),

    forward,

    step: (params, ids, state, crossLayer) =>
      tidy(() => {
        const { B: batch = 0 } = checkShapes('lm.step', { ids: [ids, ['B']] });
        const result = forward(params, reshape(ids, [batch, 1]), { state, crossLayer });
        return { logits: reshape(result.logits, [batch, vocabSize]), state: result.state } as never;
      }),

    loss: (params, ids, targets, options = {}) =>
      tidy(() => {
        checkShapes('lm.loss', { ids: [ids, ['B', 'T']], targets: [targets, ['B', 'T']] });
        const { logits, routings } = forward(params, ids, options);
        const flat = reshape(logits, [ids.size, vocabSize]) as Tensor2D;
        const labels = reshape(targets, [ids.size]) as Tensor1D;
        const { loss, correct, counted } = crossEntropy(
          { logits: flat, targets: checkedIds(labels, vocabSize, 'lm.loss(targets)', { besides: NO_LABEL }) },
          { ignoreIndex: NO_LABEL },
        );
        // Layers see the same tokens, so the mean over them is that over all their rows: a few ops for all layers.
        const routed = asOne(routings);
        const isPooled = routed && config.auxiliary?.balanceScope !== 'layer';
        const auxiliary = auxiliaryLoss(isPooled ? [routed] : routings);
        return {
          loss: add(loss, auxiliary),
          crossEntropy: loss,
          auxiliary,
          correct,
          counted,
          ...(routed ? { load: routingLoad(routed) } : {}),
        } as never;
      }),

    stateBytes: (sequences, tokens) =>
      branches.reduce((sum, { mixer }) => sum + mixer.stateBytes(sequences, tokens), 0),

    parameterCount: (params) => {
      const total = countElements(params);
      const idle = blocks.map((block, layer) =>
        block.map(({ name, mixer }) => {
          const own = (params.model.layers[layer] as BlockParams)[name];
          return countElements(own) - mixer.activatedParameters(own);
        }),
      );
      return { total, activated: total - idle.flat().reduce((sum, count) => sum + count, 0) };
    },
  };
}

// B'MOJO (Zancato et al. 2024, "B'MOJO: Hybrid State Space Realizations of Foundation Models with Eidetic and Fading Memory"):
// softmax attention of each token over a window of the last w, over fading tokens that stand for all before, and over an eidetic
// memory that keeps, verbatim, what could not be predicted:
//   y = fading(u) ,  o_t = softmax( q_t · [k(F_c) | k(E_c) | k(u_{t−w+1…t})] / √D ) · [v(F_c) | v(E_c) | v(u_{t−w+1…t})]
// with F_c and E_c those of the chunk c of w tokens that t lies in. Fading memory is any Mixer, a Mixture-of-Memories too.
//
// Each kind of memory is a part of a pass: groups of keys for the queries, and what it leaves in the state.
import { attention, batchSequences, type AttentionKeys } from '@mnemix/kernels';
import {
  linear,
  stateBytes,
  stepByForward,
  type CrossLayer,
  type Mixer,
  type MixerResult,
} from '@mnemix/layers';
import {
  add,
  checkShapes,
  countElements,
  mapTree,
  reshape,
  slice,
  stopGradient,
  tidy,
  zeros,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { checkedConfig, type BmojoConfig, type CheckedConfig } from './config.ts';
import { eideticTokens, rankStore, resizeSlots } from './eidetic.ts';
import { fadingTokens } from './fading-tokens.ts';
import { recalledTokens, slotGroup, windowGroup, type Stores } from './groups.ts';
import { ranksOf } from './policy.ts';
import {
  projections,
  type BmojoParams,
  type KeyValueRows,
  type Projections,
  type Queries,
} from './projections.ts';
import {
  checkBmojoState,
  emptyEidetic,
  emptyRecalled,
  historyLengths,
  initialState,
  stateShape,
  type BmojoState,
  type HistoryLengths,
  type KeyValues,
} from './state.ts';
import { newest, ofLastBlock, timelineOf, type Timeline } from './timeline.ts';

/** Which tokens each block of queries had in its eidetic memory, and how all ranked: `aux.eidetic`. */
export interface EideticReport {
  /** [S, blocks, slots]; −1 where a slot is empty. A block is a chunk, or a token. */
  readonly positions: Tensor3D;
  /** Of the rows, [B·T]. */
  readonly ranks: Tensor1D;
  readonly [name: string]: Tensor;
}

type BmojoMixer = Mixer<BmojoParams, BmojoState>;

/** One forward pass. */
interface Pass {
  readonly config: CheckedConfig;
  readonly lengths: HistoryLengths;
  readonly project: Projections;
  readonly params: BmojoParams;
  readonly timeline: Timeline;
  readonly state: BmojoState | undefined;
  readonly crossLayer: CrossLayer;
  /** u [N, d]. */
  readonly inputs: Tensor2D;
  /** y [N, d]; none without a fading memory. */
  readonly outputs: Tensor2D | undefined;
  readonly selfRecall: Tensor1D | undefined;
  readonly queries: Queries;
  /** Keys and values of inputs, and of outputs, where some part looks at them. */
  readonly ofInputs: Stores | undefined;
  readonly ofOutputs: Stores | undefined;
}

interface Part {
  readonly groups: readonly AttentionKeys[];
  readonly state: Partial<BmojoState>;
  readonly report?: EideticReport;
}

const nothing: Part = { groups: [], state: {} };

/**
 * The B'MOJO mixer; without `eidetic` B'MOJO-F.
 *
 * Its forward returns `aux` of the fading memory, and with slots `aux.eidetic`, an {@link EideticReport}. A state continues in a mixer
 * with more slots than it was made with.
 *
 * @throws MnemixError `config`, naming the option
 */
export function bmojo(options: BmojoConfig): BmojoMixer {
  const config = checkedConfig(options);
  const { width, fading, eidetic } = config;
  const lengths = historyLengths(config);
  const project = projections(config);
  const source = config.fadingTokens?.source;
  const usesInputs = config.inContext || lengths.window > 0;
  const usesOutputs = source === 'offsetWindow' || source === 'current' || eidetic?.payload === 'output';

  const forward: BmojoMixer['forward'] = (params, x, { state, segments, crossLayer = {} } = {}) => {
    const { B: batch = 0, T: tokens = 0 } = checkShapes('bmojo.forward', { x: [x, ['B', 'T', width]] });
    return tidy(() => {
      const sequences = batchSequences(batch, tokens, segments);
      if (state !== undefined) checkBmojoState(config, state, sequences.count);
      // No token at all, only padding: there is nothing to see, and states pass through.
      if (sequences.maxLength === 0)
        return { y: zeros(x.shape), state: state ?? initialState(config, sequences.count), aux: {} } as never;

      const inputs = reshape(x, [batch * tokens, width]) as Tensor2D;
      const remembered: MixerResult | undefined = fading?.forward(params.fading, x, {
        state: state?.fading,
        segments,
        crossLayer,
        selfRecall: eidetic?.policy.needs === 'selfRecall',
      });
      const outputs = remembered && (reshape(remembered.y, inputs.shape) as Tensor2D);
      const { selfRecall, ...aux } = remembered?.aux ?? {};
      const timeline = timelineOf(sequences, state?.position, config.window, eidetic?.refresh ?? 'chunk');
      const at = timeline.rowPosition;
      const pass: Pass = {
        config,
        lengths,
        project,
        params,
        timeline,
        state,
        crossLayer,
        inputs,
        outputs,
        selfRecall: selfRecall as Tensor1D | undefined,
        queries: project.queries(params, inputs, timeline),
        ofInputs: usesInputs ? storesOf(project.inputs(params, inputs, at), state?.window) : undefined,
        ofOutputs:
          usesOutputs && outputs
            ? storesOf(project.outputs(params, outputs, at), state?.fadingWindow)
            : undefined,
      };
      const parts = [windowPart, outputWindowPart, fadingPart, eideticPart, recalledPart].map((part) =>
        part(pass),
      );
      const read = attention(
        { groups: parts.flatMap(({ groups }) => groups), position: state?.position },
        { sequences, heads: config.heads, kvHeads: config.kvHeads, block: timeline.perBlock },
      );
      const o = linear(read, params.o_proj);
      const report = parts.find((part) => part.report)?.report;
      return {
        y: reshape(outputs && config.skip ? add(o, outputs) : o, x.shape),
        state: Object.assign(
          { position: timeline.end },
          historyPart(pass),
          ...parts.map((part) => part.state),
          remembered && { fading: remembered.state },
        ),
        aux: report ? { ...aux, eidetic: report } : aux,
        handOn: remembered?.handOn,
      } as never;
    });
  };

  return {
    name: 'bmojo',
    config: {
      ...config,
      fading: fading && { type: fading.name, ...fading.config },
      eidetic: eidetic && { ...eidetic, policy: { type: eidetic.policy.name, ...eidetic.policy.config } },
    },
    width,
    sharedParameters: fading?.sharedParameters,
    init: (rng) => ({
      ...project.init(rng),
      ...(fading ? { fading: fading.init(rng.fold('fading')) } : {}),
    }),
    initialState: (sequences) => initialState(config, sequences),
    forward,
    step: stepByForward(forward),
    stateBytes: (sequences, tokens) =>
      stateBytes(stateShape(config, sequences)) + (fading?.stateBytes(sequences, tokens) ?? 0),
    activatedParameters: (params) => {
      const idle = fading ? countElements(params.fading) - fading.activatedParameters(params.fading) : 0;
      return countElements(params) - idle;
    },
  };
}

const storesOf = ({ keys, values }: KeyValueRows, before: KeyValues | undefined): Stores => ({
  keys: { rows: keys, before: before?.keys },
  values: { rows: values, before: before?.values },
});

/** The last w tokens. */
function windowPart({ config, queries, ofInputs }: Pass): Part {
  if (!config.inContext || !ofInputs) return nothing;
  return { groups: [windowGroup(queries.ofInputs, ofInputs, 0, config.window)], state: {} };
}

/** Outputs of the fading memory at a fixed distance: a query's own, or those behind the window. */
function outputWindowPart({ config, queries, ofOutputs }: Pass): Part {
  const source = config.fadingTokens?.source;
  if (!ofOutputs || (source !== 'offsetWindow' && source !== 'current')) return nothing;
  const [nearest, farthest] = source === 'current' ? [0, 1] : [config.window, 2 * config.window];
  return { groups: [windowGroup(queries.ofOutputs, ofOutputs, nearest, farthest)], state: {} };
}

/** Outputs of the fading memory that stand for all before the chunk. */
function fadingPart({ config, project, params, timeline, queries, outputs, state }: Pass): Part {
  const { source, count } = config.fadingTokens ?? { source: 'none', count: 0 };
  if (!outputs || (source !== 'tail' && source !== 'chunkEnds')) return nothing;
  const held = state?.fadingTokens;
  const store = { rows: outputs, before: state?.outputs };
  const found = fadingTokens(timeline, store, { source, count, isContinued: held !== undefined });
  const at = reshape(found.positions, [found.positions.size]);
  // Whatever is held stands at its place among zeros, and zeros project to zeros: so the two are added.
  const fresh = project.outputs(params, reshape(found.outputs, [at.size, config.width]) as Tensor2D, at);
  const both = (name: 'keys' | 'values'): { readonly all: Tensor; readonly last: Tensor3D } => {
    const keySize = fresh[name].shape[1];
    const projected = reshape(fresh[name], [...found.positions.shape, keySize]);
    const all = held && found.held ? add(projected, found.held(held[name])) : projected;
    const before = held?.[name] ?? zeros([timeline.sequences.count, count, keySize]);
    return { all, last: ofLastBlock(timeline, all, before) as Tensor3D };
  };
  const [keys, values] = [both('keys'), both('values')];
  return {
    groups: [
      {
        queries: queries.ofOutputs,
        keys: keys.all,
        values: values.all,
        positions: found.positions,
        nearest: 0,
        farthest: Infinity,
      },
    ],
    state: { fadingTokens: { keys: keys.last, values: values.last } },
  };
}

/** What could not be predicted, or whatever the policy keeps. */
function eideticPart(pass: Pass): Part {
  const { config, lengths, timeline, queries, inputs, outputs, state, selfRecall, crossLayer } = pass;
  const { eidetic } = config;
  if (!eidetic) return nothing;
  const { sequences } = timeline;
  const { policy, payload, refresh, slots: count, span } = eidetic;
  const ranks = ranksOf(policy, {
    inputs: stopGradient(inputs),
    outputs: outputs && stopGradient(outputs),
    before: state?.outputs && lastOf(state.outputs, policy.outputsBefore ?? 0),
    position: timeline.position,
    rowPosition: timeline.rowPosition,
    sequences,
    selfRecall,
    crossLayer,
  });
  const store = rankStore(ranks, state?.ranks);
  const tokens = (payload === 'output' ? pass.ofOutputs : pass.ofInputs) as Stores;
  const sizes = { slots: count, span, keySize: config.kvHeads * config.headWidth };
  const held = state?.eidetic ? resizeSlots(state.eidetic, sizes) : emptyEidetic(config, sequences.count);
  const slots = eideticTokens(timeline, store, tokens, held, { ...sizes, refresh });
  const kept =
    lengths.ranks > 0
      ? {
          ranks: reshape(newest(timeline, store, lengths.ranks), [
            sequences.count,
            lengths.ranks,
          ]) as Tensor2D,
        }
      : {};
  return {
    groups: [slotGroup(config, queries, slots)],
    state: { eidetic: slots.state, ...kept },
    report: { positions: slots.chosen, ranks },
  };
}

/** What an archive has brought back. */
function recalledPart({ config, timeline, queries, state }: Pass): Part {
  if (!config.eidetic || config.eidetic.recalled === 0) return nothing;
  const recalled = state?.recalled ?? emptyRecalled(config, timeline.sequences.count);
  return {
    groups: [slotGroup(config, queries, recalledTokens(recalled, config.eidetic.span))],
    // Tensors of its own, so that the old state may be freed.
    state: { recalled: mapTree(recalled, (leaf) => leaf.clone()) },
  };
}

/** The last tokens, for whoever looks back in the next pass. */
function historyPart({ lengths, timeline, state, outputs, ofInputs, ofOutputs }: Pass): Partial<BmojoState> {
  const lastOfStores = ({ keys, values }: Stores, length: number): KeyValues => ({
    keys: newest(timeline, keys, length),
    values: newest(timeline, values, length),
  });
  return {
    ...(ofInputs && lengths.window > 0 ? { window: lastOfStores(ofInputs, lengths.window) } : {}),
    ...(ofOutputs && lengths.fadingWindow > 0
      ? { fadingWindow: lastOfStores(ofOutputs, lengths.fadingWindow) }
      : {}),
    ...(outputs && lengths.outputs > 0
      ? { outputs: newest(timeline, { rows: outputs, before: state?.outputs }, lengths.outputs) }
      : {}),
  };
}

/** The last `length` of [S, R, d]; none for 0. */
const lastOf = (x: Tensor3D, length: number): Tensor3D | undefined =>
  length === 0
    ? undefined
    : (slice(x, [0, x.shape[1] - length, 0], [x.shape[0], length, x.shape[2]]) as Tensor3D);

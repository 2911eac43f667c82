// B'MOJO (Zancato et al. 2024, "B'MOJO: Hybrid State Space Realizations of Foundation Models with Eidetic and Fading Memory"):
// softmax attention of each token over a window of the last w, over fading tokens that stand for all before, and over an eidetic
// memory that keeps, verbatim, what could not be predicted:
//   y = fading(u) ,  o_t = softmax( q_t · [k(F_c) | k(E_c) | k(u_{t−w+1…t})] / √D ) · [v(F_c) | v(E_c) | v(u_{t−w+1…t})]
// with F_c and E_c those of the chunk c of w tokens that t lies in. Fading memory is any Mixer, a Mixture-of-Memories too.
import { batchSequences, rmsNorm } from '@mnemix/kernels';
import {
  checkState,
  initNormal,
  linear,
  rotary,
  stateBytes,
  stepByForward,
  zeroState,
  type LinearParams,
  type Mixer,
  type State,
  type StateShape,
} from '@mnemix/layers';
import {
  add,
  checkShapes,
  countElements,
  fill,
  greaterEqual,
  mapTree,
  MnemixError,
  neg,
  ones,
  range,
  reshape,
  scalar,
  slice,
  stopGradient,
  sub,
  tidy,
  tile,
  where,
  zeros,
  type ParamTree,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { attend, type KeyGroup } from './attend.ts';
import { checkedConfig, type BmojoConfig } from './config.ts';
import { eideticTokens, emptySlots, rankStore, resizeSlots, type EideticState } from './eidetic.ts';
import { fadingTokens, type ChunkSource, type HeldTokens } from './fading-tokens.ts';
import { ranksOf } from './policy.ts';
import {
  indexOf,
  newest,
  NOBODY,
  ofLastBlock,
  tableOf,
  take,
  timelineOf,
  toBlocks,
  toRows,
  type Timeline,
  type TokenStore,
} from './timeline.ts';

interface NormParams {
  readonly weight: Tensor1D;
  readonly [name: string]: Tensor1D;
}

export interface BmojoParams {
  readonly q_proj: LinearParams;
  readonly k_proj: LinearParams;
  readonly v_proj: LinearParams;
  readonly o_proj: LinearParams;
  /** Of each head's queries and keys, [D]. */
  readonly q_norm?: NormParams;
  readonly k_norm?: NormParams;
  /** Of the fading memory's outputs, [d]. */
  readonly y_norm?: NormParams;
  /** For keys that are made of the fading memory's outputs, where they are not tied. */
  readonly fading_q_proj?: LinearParams;
  readonly fading_k_proj?: LinearParams;
  readonly fading_v_proj?: LinearParams;
  readonly fading_q_norm?: NormParams;
  readonly fading_k_norm?: NormParams;
  /** Those of the fading memory. */
  readonly fading?: ParamTree;
  readonly [name: string]: ParamTree;
}

/** Keys and values of tokens, the newest last, [S, length, kvH·D]; keys as already rotated. */
export interface KeyValues {
  readonly keys: Tensor3D;
  readonly values: Tensor3D;
  readonly [name: string]: Tensor3D;
}

/** Slots that an archive fills: as those of the eidetic memory, without ranks. */
export interface RecalledState {
  /** [S, recalled·(span+1), kvH·D] */
  readonly keys: Tensor3D;
  readonly values: Tensor3D;
  /** [S, recalled]; −1 where a slot is empty. */
  readonly positions: Tensor2D;
  readonly [name: string]: Tensor;
}

/** Only the parts that the configuration has. */
export interface BmojoState {
  /** Tokens seen, [S]. */
  readonly position: Tensor1D;
  readonly fading?: State;
  /** The last tokens, as the window shows them. */
  readonly window?: KeyValues;
  /** The last outputs of the fading memory, as keys and values. */
  readonly fadingWindow?: KeyValues;
  /** The last outputs of the fading memory, [S, length, d]. */
  readonly outputs?: Tensor3D;
  /** The fading tokens of the current chunk. */
  readonly fadingTokens?: HeldTokens;
  /** Chosen among all tokens before the current chunk. */
  readonly eidetic?: EideticState;
  /** Ranks of the last w tokens, [S, w]. */
  readonly ranks?: Tensor2D;
  readonly recalled?: RecalledState;
  readonly [name: string]: State;
}

/** Which tokens each block of queries had in its eidetic memory, and how all ranked: `aux.eidetic`. */
export interface EideticReport {
  /** [S, blocks, slots]; −1 where a slot is empty. A block is a chunk, or a token. */
  readonly positions: Tensor3D;
  /** Of the rows, [B·T]. */
  readonly ranks: Tensor1D;
  readonly [name: string]: Tensor;
}

type BmojoMixer = Mixer<BmojoParams, BmojoState>;

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
  const { width, heads, kvHeads, headWidth, window, inContext, fading, eidetic, ropeBase, normEps } = config;
  const [querySize, keySize] = [heads * headWidth, kvHeads * headWidth];
  const source = config.fadingTokens?.source;
  const chunkSource = source === 'tail' || source === 'chunkEnds' ? source : undefined;
  const lengths = historyLengths(config);
  const seesOutputs = (source ?? 'none') !== 'none' || eidetic?.payload === 'output';
  const slotSizes = eidetic && { slots: eidetic.slots, span: eidetic.span, keySize };

  /** The shape of the state's own part. */
  const stateShape = (sequences: number, slots = eidetic?.slots ?? 0): StateShape => {
    const keyValues = (length: number): StateShape => ({
      keys: [sequences, length, keySize],
      values: [sequences, length, keySize],
    });
    const slotted = (count: number): StateShape => ({
      ...keyValues(count * ((eidetic?.span ?? 0) + 1)),
      positions: [sequences, count],
    });
    return {
      position: [sequences],
      ...(lengths.window > 0 ? { window: keyValues(lengths.window) } : {}),
      ...(lengths.fadingWindow > 0 ? { fadingWindow: keyValues(lengths.fadingWindow) } : {}),
      ...(lengths.outputs > 0 ? { outputs: [sequences, lengths.outputs, width] } : {}),
      ...(chunkSource ? { fadingTokens: keyValues(config.fadingTokens?.count ?? 0) } : {}),
      ...(eidetic ? { eidetic: { ...slotted(slots), scores: [sequences, slots] } } : {}),
      ...(lengths.ranks > 0 ? { ranks: [sequences, lengths.ranks] } : {}),
      ...(eidetic && eidetic.recalled > 0 ? { recalled: slotted(eidetic.recalled) } : {}),
    };
  };

  const initialState = (sequences: number): BmojoState => ({
    ...zeroState<BmojoState>(stateShape(sequences)),
    ...(slotSizes ? { eidetic: emptySlots(sequences, slotSizes) } : {}),
    ...(eidetic && eidetic.recalled > 0 ? { recalled: emptyRecalled(sequences, eidetic.recalled) } : {}),
    ...(fading ? { fading: fading.initialState(sequences) } : {}),
  });

  const emptyRecalled = (sequences: number, recalled: number): RecalledState => {
    const { scores: _, ...slots } = emptySlots(sequences, {
      slots: recalled,
      span: eidetic?.span ?? 0,
      keySize,
    });
    return slots;
  };

  const checkOwnState = ({ fading: inner, ...own }: BmojoState, sequences: number): void => {
    const slots = own.eidetic?.positions?.shape[1] ?? eidetic?.slots;
    checkState('bmojo.forward', own, stateShape(sequences, slots));
    if ((inner === undefined) === (fading === undefined)) return;
    throw new MnemixError({
      code: 'state',
      where: 'bmojo.forward(state)',
      message: `fading is ${fading ? 'missing' : 'unknown'}.`,
      fix: 'Pass a state that this mixer returned for the same number of sequences, or initialState(sequences).',
    });
  };

  /** Rows [R, d] → [R, heads·D]: a projection, with the norm of its heads and rotary positions where there are any. */
  const project = (
    params: BmojoParams,
    name: 'q' | 'k' | 'v' | 'fading_q' | 'fading_k' | 'fading_v',
    x: Tensor2D,
    positions?: Tensor,
  ): Tensor2D => {
    const flat = linear(x, params[`${name}_proj`] as LinearParams);
    const norm = params[`${name}_norm`] as NormParams | undefined;
    if (norm === undefined && positions === undefined) return flat;
    let perHead: Tensor = reshape(flat, [flat.shape[0], flat.shape[1] / headWidth, headWidth]);
    if (norm) perHead = rmsNorm({ x: perHead, weight: norm.weight }, { eps: normEps });
    if (positions) perHead = rotary(perHead as Tensor3D, positions as Tensor1D, ropeBase);
    return reshape(perHead, flat.shape) as Tensor2D;
  };
  /** Rotary positions, if the layer has any. */
  const rotated = (positions: Tensor): Tensor | undefined => (ropeBase > 0 ? positions : undefined);

  /** Outputs of the fading memory [R, d] as keys and values. */
  const projectOutputs = (params: BmojoParams, y: Tensor2D, positions: Tensor) => {
    const { y_norm: norm } = params;
    const normed = norm ? (rmsNorm({ x: y, weight: norm.weight }, { eps: normEps }) as Tensor2D) : y;
    return {
      keys: project(params, config.tied ? 'k' : 'fading_k', normed, rotated(positions)),
      values: project(params, config.tied ? 'v' : 'fading_v', normed),
    };
  };

  /** Keys of slots, and what to use of them beyond 2w. */
  const slotGroup = (
    queries: Queries,
    {
      keys,
      values,
      positions,
    }: { readonly keys: Tensor; readonly values: Tensor; readonly positions: Tensor },
  ): KeyGroup => {
    const ofOutputs = eidetic?.payload === 'output';
    const unrotated = (): Tensor => {
      const perHead = reshape(keys, [positions.size, kvHeads, headWidth]) as Tensor3D;
      return reshape(
        rotary(perHead, neg(reshape(positions, [positions.size])) as Tensor1D, ropeBase),
        keys.shape,
      );
    };
    return {
      queries: ofOutputs ? queries.ofOutputs : queries.ofInputs,
      keys,
      values,
      positions,
      nearest: eidetic?.dedupe ? window : 0,
      farthest: Infinity,
      clamped:
        ropeBase > 0
          ? {
              from: 2 * window,
              queries: ofOutputs ? queries.farOfOutputs : queries.farOfInputs,
              keys: unrotated(),
            }
          : undefined,
    };
  };

  const forward: BmojoMixer['forward'] = (params, x, { state, segments, crossLayer = {} } = {}) => {
    const { B: batch = 0, T: tokens = 0 } = checkShapes('bmojo.forward', { x: [x, ['B', 'T', width]] });
    return tidy(() => {
      const sequences = batchSequences(batch, tokens, segments);
      if (state !== undefined) checkOwnState(state, sequences.count);
      // No token at all, only padding: there is nothing to see, and states pass through.
      if (sequences.maxLength === 0)
        return { y: zeros(x.shape), state: state ?? initialState(sequences.count), aux: {} } as never;
      const rows = reshape(x, [batch * tokens, width]) as Tensor2D;
      const remembered = fading?.forward(params.fading, x, {
        state: state?.fading,
        segments,
        crossLayer,
        selfRecall: eidetic?.policy.needs === 'selfRecall',
      });
      const y = remembered && (reshape(remembered.y, rows.shape) as Tensor2D);
      const timeline = timelineOf(sequences, state?.position, window, eidetic?.refresh ?? 'chunk');
      const at = timeline.rowPosition;
      const outputs = y && { rows: y, before: state?.outputs };

      const queries = queriesOf(timeline, (name, positions) => project(params, name, rows, positions));
      const groups: KeyGroup[] = [];
      let next: Record<string, State> = { position: timeline.end };

      const inputStores =
        lengths.window > 0 || inContext
          ? storesOf(
              { keys: project(params, 'k', rows, rotated(at)), values: project(params, 'v', rows) },
              state?.window,
            )
          : undefined;
      if (inputStores && inContext)
        groups.push(windowGroup(timeline, queries.ofInputs, inputStores, 0, window));
      if (inputStores && lengths.window > 0)
        next = { ...next, window: newestOf(timeline, inputStores, lengths.window) };

      const isWindowOfOutputs = source === 'offsetWindow' || source === 'current';
      const outputStores =
        y && (isWindowOfOutputs || eidetic?.payload === 'output')
          ? storesOf(projectOutputs(params, y, at), state?.fadingWindow)
          : undefined;
      if (outputStores && isWindowOfOutputs) {
        const [nearest, farthest] = source === 'current' ? [0, 1] : [window, 2 * window];
        groups.push(windowGroup(timeline, queries.ofOutputs, outputStores, nearest, farthest));
      }
      if (outputStores && lengths.fadingWindow > 0)
        next = { ...next, fadingWindow: newestOf(timeline, outputStores, lengths.fadingWindow) };

      if (outputs && chunkSource) {
        const held = fadingGroup(
          params,
          timeline,
          outputs,
          queries.ofOutputs,
          chunkSource,
          state?.fadingTokens,
        );
        groups.push(held.group);
        next = { ...next, fadingTokens: held.state };
      }

      let report: EideticReport | undefined;
      if (eidetic && slotSizes) {
        const ranks = ranksOf(eidetic.policy, {
          inputs: stopGradient(rows),
          outputs: y && stopGradient(y),
          before: state?.outputs && lastOf(state.outputs, eidetic.policy.outputsBefore ?? 0),
          position: timeline.position,
          rowPosition: at,
          sequences,
          selfRecall: remembered?.aux.selfRecall as Tensor1D | undefined,
          crossLayer,
        });
        const stores = (eidetic.payload === 'output' ? outputStores : inputStores) as Stores;
        const heldSlots = state?.eidetic
          ? resizeSlots(state.eidetic, slotSizes)
          : emptySlots(sequences.count, slotSizes);
        const store = rankStore(ranks, state?.ranks);
        const slots = eideticTokens(timeline, store, stores, heldSlots, {
          ...slotSizes,
          refresh: eidetic.refresh,
        });
        groups.push(slotGroup(queries, slots));
        report = { positions: slots.chosen, ranks };
        next = { ...next, eidetic: slots.state };
        if (lengths.ranks > 0) {
          const kept = newest(timeline, store, lengths.ranks);
          next = { ...next, ranks: reshape(kept, [sequences.count, lengths.ranks]) };
        }
        if (eidetic.recalled > 0) {
          const recalled = state?.recalled ?? emptyRecalled(sequences.count, eidetic.recalled);
          groups.push(slotGroup(queries, recalledTokens(recalled, timeline.blocks, eidetic.span)));
          // A tensor of its own, so that the old state may be freed.
          next = { ...next, recalled: mapTree(recalled, (leaf) => leaf.clone()) };
        }
      }
      if (outputs && lengths.outputs > 0)
        next = { ...next, outputs: newest(timeline, outputs, lengths.outputs) };
      if (remembered) next = { ...next, fading: remembered.state };

      const read = attend(timeline.queries, groups, { heads, kvHeads, headWidth });
      let o = linear(toRows(timeline, read), params.o_proj);
      if (y && config.skip) o = add(o, y) as Tensor2D;
      const { selfRecall: _, ...aux } = remembered?.aux ?? {};
      return {
        y: reshape(o, x.shape),
        state: next,
        aux: report ? { ...aux, eidetic: report } : aux,
        handOn: remembered?.handOn,
      } as never;
    });
  };

  interface Queries {
    readonly ofInputs: Tensor;
    /** For keys made of the fading memory's outputs: the same where they are tied. */
    readonly ofOutputs: Tensor;
    /** The same as if all keys were 2w tokens away. */
    readonly farOfInputs: Tensor;
    readonly farOfOutputs: Tensor;
  }

  /** Queries [S, n, b, H·D] by what they are asked of, made when first asked for. */
  const queriesOf = (
    timeline: Timeline,
    projected: (name: 'q' | 'fading_q', positions: Tensor | undefined) => Tensor2D,
  ): Queries => {
    const inBlocks = (name: 'q' | 'fading_q', positions: Tensor): Tensor =>
      toBlocks(timeline, projected(name, rotated(positions)));
    const far = (): Tensor => fill([timeline.sequences.rows], 2 * window);
    const ofInputs = once(() => inBlocks('q', timeline.rowPosition));
    const ofOutputs = once(() => inBlocks('fading_q', timeline.rowPosition));
    const farOfInputs = once(() => inBlocks('q', far()));
    const farOfOutputs = once(() => inBlocks('fading_q', far()));
    return {
      get ofInputs() {
        return ofInputs();
      },
      get ofOutputs() {
        return config.tied ? ofInputs() : ofOutputs();
      },
      get farOfInputs() {
        return farOfInputs();
      },
      get farOfOutputs() {
        return config.tied ? farOfInputs() : farOfOutputs();
      },
    };
  };

  /** The fading tokens of each chunk, and those of the last. */
  const fadingGroup = (
    params: BmojoParams,
    timeline: Timeline,
    outputs: TokenStore,
    queries: Tensor,
    chunks: ChunkSource,
    held: HeldTokens | undefined,
  ): { group: KeyGroup; state: HeldTokens } => {
    const { count } = config.fadingTokens as { count: number };
    const found = fadingTokens(timeline, outputs, { source: chunks, count, isContinued: held !== undefined });
    const shape = [...found.positions.shape, keySize];
    const at = reshape(found.positions, [found.positions.size]);
    // Whatever is held stands at its place among zeros, and zeros project to zeros: so the two are added.
    const fresh = projectOutputs(params, reshape(found.outputs, [at.size, width]) as Tensor2D, at);
    const both = (name: 'keys' | 'values'): Tensor => {
      const projected = reshape(fresh[name], shape);
      return held && found.held ? add(projected, found.held(held[name])) : projected;
    };
    const [keys, values] = [both('keys'), both('values')];
    const before = (x: Tensor3D | undefined): Tensor =>
      x ?? zeros([timeline.sequences.count, count, keySize]);
    return {
      group: { queries, keys, values, positions: found.positions, nearest: 0, farthest: Infinity },
      state: {
        keys: ofLastBlock(timeline, keys, before(held?.keys)) as Tensor3D,
        values: ofLastBlock(timeline, values, before(held?.values)) as Tensor3D,
      },
    };
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

    init: (rng) => {
      const norm = (size: number): NormParams => ({ weight: ones([size]) as Tensor1D });
      const isUntied = !config.tied;
      const ofHeads = config.qkNorm ? { q_norm: norm(headWidth), k_norm: norm(headWidth) } : {};
      return {
        q_proj: initNormal(rng.fold('q_proj'), width, querySize),
        k_proj: initNormal(rng.fold('k_proj'), width, keySize),
        v_proj: initNormal(rng.fold('v_proj'), width, keySize),
        o_proj: initNormal(rng.fold('o_proj'), querySize, width),
        ...ofHeads,
        ...(seesOutputs && config.fadingTokens?.norm ? { y_norm: norm(width) } : {}),
        ...(isUntied
          ? {
              fading_q_proj: initNormal(rng.fold('fading_q_proj'), width, querySize),
              fading_k_proj: initNormal(rng.fold('fading_k_proj'), width, keySize),
              fading_v_proj: initNormal(rng.fold('fading_v_proj'), width, keySize),
              ...(config.qkNorm ? { fading_q_norm: norm(headWidth), fading_k_norm: norm(headWidth) } : {}),
            }
          : {}),
        ...(fading ? { fading: fading.init(rng.fold('fading')) } : {}),
      };
    },

    initialState,
    forward,
    step: stepByForward(forward),
    stateBytes: (sequences, tokens) =>
      stateBytes(stateShape(sequences)) + (fading?.stateBytes(sequences, tokens) ?? 0),
    activatedParameters: (params) => {
      const idle = fading ? countElements(params.fading) - fading.activatedParameters(params.fading) : 0;
      return countElements(params) - idle;
    },
  };
}

/** How many tokens the state has to hold of each kind; 0 for none. */
function historyLengths({
  window,
  inContext,
  fadingTokens: tokens,
  eidetic,
}: ReturnType<typeof checkedConfig>) {
  // When a chunk has ended, its tokens are candidates for the slots; so are those that a span reaches back to.
  const candidates =
    eidetic === undefined ? 0 : eidetic.refresh === 'chunk' ? window + eidetic.span : eidetic.span;
  const ofPayload = (payload: 'input' | 'output'): number => (eidetic?.payload === payload ? candidates : 0);
  const recent = { tail: tokens?.count ?? 0, chunkEnds: 1, offsetWindow: 0, current: 0, none: 0 };
  return {
    window: Math.max(inContext ? window - 1 : 0, ofPayload('input')),
    fadingWindow: Math.max(tokens?.source === 'offsetWindow' ? 2 * window - 1 : 0, ofPayload('output')),
    outputs: Math.max(tokens ? recent[tokens.source] : 0, eidetic?.policy.outputsBefore ?? 0),
    ranks: eidetic?.refresh === 'chunk' ? window : 0,
  };
}

interface Stores {
  readonly keys: TokenStore;
  readonly values: TokenStore;
}

const storesOf = (rows: { keys: Tensor2D; values: Tensor2D }, before: KeyValues | undefined): Stores => ({
  keys: { rows: rows.keys, before: before?.keys },
  values: { rows: rows.values, before: before?.values },
});

const newestOf = (timeline: Timeline, { keys, values }: Stores, length: number): KeyValues => ({
  keys: newest(timeline, keys, length),
  values: newest(timeline, values, length),
});

/** The tokens that stand `nearest` … `farthest` − 1 before a query. */
function windowGroup(
  timeline: Timeline,
  queries: Tensor,
  stores: Stores,
  nearest: number,
  farthest: number,
): KeyGroup {
  const { blocks, perBlock, sequences } = timeline;
  const first = slice(timeline.queries, [0, 0, 0], [sequences.count, blocks, 1]);
  const positions = add(first, range(1 - farthest, perBlock - nearest));
  return {
    queries,
    ...windowTokens(timeline, stores, positions, nearest, farthest),
    positions,
    nearest,
    farthest,
    holdsQuery: nearest === 0,
  };
}

/** Keys and values at the positions of a window, [S, n, m, kvH·D]. */
function windowTokens(
  timeline: Timeline,
  { keys, values }: Stores,
  positions: Tensor,
  nearest: number,
  farthest: number,
): { readonly keys: Tensor; readonly values: Tensor } {
  const { sequences, blocks } = timeline;
  // One token a sequence: its window is the end of what there is.
  if (blocks === 1 && sequences.uniform?.tokens === 1) {
    const last = (store: TokenStore): Tensor => {
      const width = store.rows.shape[1];
      const tokens = slice(
        newest(timeline, store, farthest),
        [0, 0, 0],
        [sequences.count, farthest - nearest, width],
      );
      return reshape(tokens, [sequences.count, 1, farthest - nearest, width]);
    };
    return { keys: last(keys), values: last(values) };
  }
  const index = indexOf(timeline, positions, keys.before?.shape[1] ?? 0);
  return { keys: take(tableOf(keys), index), values: take(tableOf(values), index) };
}

/** Recalled slots as every block sees them. */
function recalledTokens({ keys, values, positions }: RecalledState, blocks: number, span: number) {
  const [count, slots] = positions.shape;
  const perSlot = span + 1;
  const chosen = reshape(positions, [count, slots, 1]);
  const own = where(greaterEqual(chosen, 0), add(sub(chosen, span), range(0, perSlot)), scalar(NOBODY));
  const forBlocks = (x: Tensor): Tensor => {
    const rest = x.shape.slice(1);
    return tile(reshape(x, [count, 1, ...rest]), [1, blocks, ...rest.map(() => 1)]);
  };
  return {
    keys: forBlocks(keys),
    values: forBlocks(values),
    positions: forBlocks(reshape(own, [count, slots * perSlot])),
  };
}

/** The last `length` of [S, R, d]; none for 0. */
const lastOf = (x: Tensor3D, length: number): Tensor3D | undefined =>
  length === 0
    ? undefined
    : (slice(x, [0, x.shape[1] - length, 0], [x.shape[0], length, x.shape[2]]) as Tensor3D);

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

/**
 * The same state, through which no gradient flows: for training over long documents segment by segment. Without it, a gradient goes
 * back through all passes that are differentiated together.
 */
export const detach = <S extends State>(state: S): S => mapTree(state, (leaf) => stopGradient(leaf));

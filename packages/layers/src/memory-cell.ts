// The contract of a linear-attention memory — what it writes for each token and how the memory changes — and the
// mixer that one memory alone is. A Mixture-of-Memories runs the same cell over many memories at once.
import { batchSequences, type ScanOptions, type Sequences } from '@mnemix/kernels';
import {
  add,
  checkShapes,
  countElements,
  div,
  mean,
  mul,
  noGrad,
  reshape,
  slice,
  sqrt,
  sub,
  sum,
  tidy,
  type ParamTree,
  type Rng,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { linear, linears, type LinearParams } from './linear.ts';
import {
  stepByForward,
  type CrossLayer,
  type Mixer,
  type SharedParameters,
  type State,
  type TokenRows,
} from './mixer.ts';
import { checkState, stateBytes, zeroState, type StateShape } from './state.ts';

/** How a scan is computed; the values are the same up to rounding. */
export type ScanAlgorithm = Pick<ScanOptions, 'form' | 'chunkSize'>;

/** What a cell sees when it projects rows: one memory's sequences, or the buckets of many memories. */
export interface ProjectContext<S extends State = State> {
  /** The rows that are written, [N,d]. */
  readonly rows: Tensor2D;
  /** Where the rows of each memory's (sub)sequences lie. */
  readonly sequences: Sequences;
  readonly state: S | undefined;
  /** What earlier layers and the model give; its token rows are those of `rows`. */
  readonly crossLayer: CrossLayer;
  /**
   * x·Wᵀ + b with a layer of which every memory has its own copy; `x` [N, in] is `rows` unless given. Pass the layer as it stands in
   * the parameters: inside of a mixture it stands for the copies of all memories.
   */
  linear(layer: LinearParams, x?: Tensor2D): Tensor2D;
  /** As `linear` of `rows` with each of these layers, by the same names: inside of a mixture one product for all. */
  linears<Name extends string>(layers: { readonly [layer in Name]: LinearParams }): {
    [layer in Name]: Tensor2D;
  };
  /** rows·Wᵀ + b with a layer that all memories share; computed once a token, however many memories it goes to. */
  commonLinear(layer: LinearParams): Tensor2D;
}

export interface CellParams {
  readonly [name: string]: ParamTree;
}

export interface MemoryCell<P extends CellParams = CellParams, S extends State = State, I = unknown> {
  readonly name: string;
  /** The update rule, in ONNX opset 27's terms where it has one. */
  readonly rule: 'linear' | 'gated' | 'delta' | 'gated_delta' | 'dplr' | 'ttt' | 'titans' | (string & {});
  readonly config: Readonly<Record<string, unknown>>;
  /** Model width d. */
  readonly width: number;
  /** Names of the parameters of which every memory of a Mixture-of-Memories has its own copy; it shares the others. */
  readonly perMemory: readonly (keyof P & string)[];
  /** Parameters that this cell shares with its like in other layers of a model. */
  readonly sharedParameters?: SharedParameters | undefined;
  /**
   * Where the memory that a Mixture-of-Memories writes every token to keeps its copy of the `perMemory` parameters:
   * `named` under names of its own (k_proj → shared_k), `last` behind the routed memories' in their lists, as the
   * upstream's older layers do. `named` if left out.
   */
  readonly sharedMemory?: 'named' | 'last' | undefined;
  /** Parameters of one memory, under fla's names. */
  init(rng: Rng): P;
  stateShape(sequences: number): StateShape;
  /** Queries, keys, values and gates of each row, after convolutions and activations. */
  project(params: P, context: ProjectContext<S>): I;
  /** Rows [N, …] of these inputs that later layers need; a Mixture-of-Memories hands on the mean over its memories. */
  handOn?(inputs: I): TokenRows;
  /**
   * Runs the memory along the sequences: o [N, heads, read width]. That is what a Mixture-of-Memories mixes: whatever
   * else the readout needs of this memory's own inputs (a skip, a gate behind a convolution) rides along in it.
   *
   * @param algorithm the form of the scan; left out, the fastest that the backend has
   */
  scan(
    inputs: I,
    state: S | undefined,
    sequences: Sequences,
    algorithm?: ScanAlgorithm,
  ): { o: Tensor3D; state: S };
  /**
   * What to change about the inputs so that each token asks the memory for what it holds under the token's own key, and what it
   * should return then [N, heads, dv], as the first dv of what `scan` reads. Cells that write a value for a key have it.
   */
  selfRecall?(inputs: I): { readonly asked: Partial<I>; readonly expected: Tensor3D };
  /**
   * Norm, gate and output projection: o [N, heads, read width], x [N,d] → [N,d].
   *
   * @param map x·Wᵀ + b; a Mixture-of-Memories has those of `tokenLayers` already
   */
  readout(params: P, o: Tensor3D, x: Tensor2D, map: (layer: LinearParams) => Tensor2D): Tensor2D;
  /** Layers that the tokens are mapped by: a Mixture-of-Memories maps by all of them at once. */
  tokenLayers?(params: P): TokenLayers;
}

export interface TokenLayers {
  /** For `commonLinear`, without an input of its own: a Mixture-of-Memories copies them together with the tokens. */
  readonly project: readonly LinearParams[];
  readonly readout: readonly LinearParams[];
}

/** A cell whose parameters, state and inputs are its own business: how catalogues and Mixture-of-Memories see it. */
// oxlint-disable-next-line typescript/no-explicit-any
export type AnyCell = MemoryCell<any, any, any>;

/** The context of a cell that runs alone: its rows are the tokens, and every layer is a plain one. */
export function soloContext<S extends State>(
  rows: Tensor2D,
  sequences: Sequences,
  state: S | undefined,
  crossLayer: CrossLayer = {},
): ProjectContext<S> {
  return {
    rows,
    sequences,
    state,
    crossLayer,
    linear: (layer, x = rows) => linear(x, layer),
    linears: (layers) => linears(rows, layers),
    commonLinear: (layer) => linear(rows, layer),
  };
}

/**
 * 1 − cos between what was read [N, H, ≥ dv] and what was expected [N, H, dv], mean over the heads: [N]. Sizes do not count, since
 * cells scale queries as they please.
 */
function recallError(read: Tensor3D, expected: Tensor3D): Tensor1D {
  const found = slice(read, [0, 0, 0], expected.shape);
  const dot = (a: Tensor, b: Tensor): Tensor => sum(mul(a, b), 2);
  const norms = sqrt(mul(dot(found, found), dot(expected, expected)));
  return mean(sub(1, div(dot(found, expected), add(norms, 1e-12))), 1) as Tensor1D;
}

/** A cell alone is a mixer: one memory that every token is written to. */
export function asMixer<P extends CellParams, S extends State, I>(cell: MemoryCell<P, S, I>): Mixer<P, S> {
  const forward: Mixer<P, S>['forward'] = (params, x, options = {}) => {
    const { state, segments, crossLayer } = options;
    const where = `${cell.name}.forward`;
    const { B: batch = 0, T: tokens = 0 } = checkShapes(where, { x: [x, ['B', 'T', cell.width]] });
    return tidy(() => {
      const sequences = batchSequences(batch, tokens, segments);
      if (state !== undefined) checkState(where, state, cell.stateShape(sequences.count));
      const rows = reshape(x, [batch * tokens, cell.width]) as Tensor2D;
      const inputs = cell.project(params, soloContext(rows, sequences, state, crossLayer));
      const { o, state: next } = cell.scan(inputs, state, sequences);
      const y = reshape(
        cell.readout(params, o, rows, (layer) => linear(rows, layer)),
        x.shape,
      ) as Tensor3D;
      const test = options.selfRecall ? cell.selfRecall?.(inputs) : undefined;
      const aux = test && {
        selfRecall: noGrad(() => {
          const { o: recalled } = cell.scan({ ...inputs, ...test.asked }, state, sequences);
          return recallError(recalled, test.expected);
        }),
      };
      return { y, state: next, aux: aux ?? {}, handOn: cell.handOn?.(inputs) } as never;
    });
  };
  return {
    name: cell.name,
    config: cell.config,
    width: cell.width,
    recallsItself: cell.selfRecall !== undefined,
    sharedParameters: cell.sharedParameters,
    init: cell.init,
    initialState: (sequences) => zeroState<S>(cell.stateShape(sequences)),
    forward,
    step: stepByForward(forward),
    stateBytes: (sequences) => stateBytes(cell.stateShape(sequences)),
    activatedParameters: countElements,
  };
}

// Mixture-of-Memories (Du et al. 2025): a router sends each token to a few of many memories, so that memories interfere
// less; a shared memory sees every token.
//   y_t = Σ_j w_{t,j} · read(memory of choice j) + read(shared memory) ,  then the cell's norm, gate and projection
// Any MemoryCell can be the memory. Memories that a token is not routed to keep their state untouched.
import {
  batchSequences,
  groupedLinear,
  routeGather,
  routeMix,
  routePlan,
  type RoutePlan,
  type Sequences,
} from '@mnemix/kernels';
import {
  checkState,
  linear,
  soloContext,
  stateBytes,
  stepByForward,
  zeroState,
  type CellParams,
  type CrossLayer,
  type LinearParams,
  type MemoryCell,
  type Mixer,
  type ProjectContext,
  type State,
  type TokenRows,
} from '@mnemix/layers';
import { route } from '@mnemix/router';
import {
  add,
  checkConfig,
  checkShapes,
  countElements,
  expandDims,
  mul,
  reshape,
  tidy,
  type ParamTree,
  type Tensor2D,
  type Tensor3D,
} from '@mnemix/tensor';
import { initMom, sharedParams, stackedParams, type MomParams, type ParameterLayout } from './parameters.ts';

export interface MomConfig<P extends CellParams = CellParams, S extends State = State, I = unknown> {
  /** The memory, e.g. `gatedDeltaNet({ … })`. */
  readonly cell: MemoryCell<P, S, I>;
  /** Number of routed memories M. Default 4. */
  readonly memories?: number;
  /** Memories that each token goes to, K. Default 2. */
  readonly topK?: number;
  /** A further memory that every token goes to, with weight 1. Default true. */
  readonly shared?: boolean;
  /** All memories use the same projections and differ only by the tokens that they see. Default false. */
  readonly singleKvProj?: boolean;
}

/** What one forward pass is about. */
interface Pass {
  readonly params: MomParams;
  readonly tokens: Tensor2D;
  readonly sequences: Sequences;
  readonly crossLayer: CrossLayer;
}

const mapRows = (
  rows: TokenRows | undefined,
  transform: (x: Tensor2D, kind: string) => Tensor2D,
): TokenRows | undefined =>
  rows && Object.fromEntries(Object.entries(rows).map(([kind, x]) => [kind, transform(x, kind)]));

export interface MomState<S extends State = State> {
  /** The cell's state; sequence s of memory m is entry m·S + s. */
  readonly routed: S;
  readonly shared?: S | undefined;
  readonly [name: string]: S | undefined;
}

/**
 * The Mixture-of-Memories mixer over a cell.
 *
 * `aux.routing` of its forward holds the router's `logits` [R,M], `choices` int32 [R,K], `weights` [R,K] and
 * `rowSequence` int32 [R], for auxiliary losses and load statistics.
 *
 * @throws MnemixError `config` where topK and memories do not fit
 */
export function mom<P extends CellParams, S extends State, I>(
  options: MomConfig<P, S, I>,
): Mixer<MomParams, MomState<S>> {
  const { cell, memories = 4, topK = 2, shared = true, singleKvProj = false } = options;
  checkConfig(
    Number.isInteger(memories) && memories >= 1,
    'mom(memories)',
    `there are ${memories} memories.`,
    'Use a whole number from 1 on.',
  );
  checkConfig(
    Number.isInteger(topK) && topK >= 1 && topK <= memories,
    'mom(topK)',
    `each token should go to ${topK} of ${memories} memories.`,
    `Choose topK between 1 and ${memories}.`,
  );
  const { width } = cell;
  const layout: ParameterLayout = {
    memories,
    shared,
    singleKvProj,
    perMemory: cell.perMemory,
    sharedMemory: singleKvProj ? 'named' : (cell.sharedMemory ?? 'named'),
  };
  const stateShape = (sequences: number) => ({
    routed: cell.stateShape(memories * sequences),
    ...(shared ? { shared: cell.stateShape(sequences) } : {}),
  });

  /** Rows are routed copies; a layer of a memory's own acts on the rows of that memory. */
  const bucketContext = (
    tokens: Tensor2D,
    plan: RoutePlan,
    state: S | undefined,
    crossLayer: CrossLayer,
  ): ProjectContext<S> => {
    const rows = routeGather(tokens, plan) as Tensor2D;
    // Projecting before the copy gives the same rows for 1/K of the arithmetic.
    const commonLinear = (layer: LinearParams): Tensor2D =>
      routeGather(linear(tokens, layer), plan) as Tensor2D;
    const grouped = ({ weight, bias }: LinearParams, x: Tensor2D): Tensor2D =>
      groupedLinear(
        { x, weight: weight as unknown as Tensor3D, bias: bias as unknown as Tensor2D },
        { groups: plan.groups },
      ) as Tensor2D;
    return {
      rows,
      sequences: plan.buckets,
      state,
      crossLayer: {
        ...crossLayer,
        tokens: mapRows(crossLayer.tokens, (x) => routeGather(x, plan) as Tensor2D),
      },
      commonLinear,
      linear: singleKvProj
        ? (layer, x) => (x === undefined ? commonLinear(layer) : linear(x, layer))
        : (layer, x = rows) => grouped(layer, x),
    };
  };

  const readRouted = ({ params, tokens, sequences, crossLayer }: Pass, state: S | undefined) => {
    const logits = linear(tokens, params.gate);
    const { choices, weights } = route(logits, topK);
    const plan = routePlan(choices, { memories, sequences });
    const cellParams = (singleKvProj ? sharedParams : stackedParams)(params, layout) as P;
    const inputs = cell.project(cellParams, bucketContext(tokens, plan, state, crossLayer));
    const { o, state: next } = cell.scan(inputs, state, plan.buckets);
    const mix = (rows: Tensor3D): Tensor3D => routeMix({ o: rows, weights }, plan) as Tensor3D;
    return {
      y: mix(o),
      state: next,
      handOn: mapRows(
        cell.handOn?.(inputs),
        (x) => reshape(mix(expandDims(x, 1) as Tensor3D), [tokens.shape[0], x.shape[1]]) as Tensor2D,
      ),
      routing: { logits, choices, weights, rowSequence: sequences.rowSequence },
    };
  };

  const readShared = ({ params, tokens, sequences, crossLayer }: Pass, state: S | undefined) => {
    const inputs = cell.project(
      sharedParams(params, layout) as P,
      soloContext(tokens, sequences, state, crossLayer),
    );
    return { ...cell.scan(inputs, state, sequences), handOn: cell.handOn?.(inputs) };
  };

  const forward: Mixer<MomParams, MomState<S>>['forward'] = (
    params,
    x,
    { state, segments, crossLayer = {} } = {},
  ) => {
    const { B: batch = 0, T: tokens = 0 } = checkShapes('mom.forward', { x: [x, ['B', 'T', width]] });
    return tidy(() => {
      const sequences = batchSequences(batch, tokens, segments);
      if (state !== undefined) checkState('mom.forward', state, stateShape(sequences.count));
      const rows = reshape(x, [batch * tokens, width]) as Tensor2D;
      const pass = { params, tokens: rows, sequences, crossLayer };
      const routed = readRouted(pass, state?.routed);
      const always = shared ? readShared(pass, state?.shared) : undefined;
      const mixed = always ? (add(routed.y, always.o) as Tensor3D) : routed.y;
      const y = reshape(cell.readout(params as unknown as P, mixed, rows), x.shape) as Tensor3D;
      const next = { routed: routed.state, ...(always ? { shared: always.state } : {}) };
      const handOn = mapRows(routed.handOn, (row, kind) =>
        always?.handOn ? mul(add(row, always.handOn[kind] as Tensor2D), 0.5) : row,
      );
      return { y, state: next, aux: { routing: routed.routing }, handOn } as never;
    });
  };

  return {
    name: 'mom',
    config: { cell: { type: cell.name, ...cell.config }, memories, topK, shared, singleKvProj },
    width,
    sharedParameters: cell.sharedParameters,
    init: (rng) => initMom(cell, layout, rng),
    initialState: (sequences) => zeroState<MomState<S>>(stateShape(sequences)),
    forward,
    step: stepByForward(forward),
    stateBytes: (sequences) => stateBytes(stateShape(sequences)),
    activatedParameters: (params) => {
      const copies = cell.perMemory.map((name) => (params[name] as readonly ParamTree[])?.slice(0, memories));
      const routed = singleKvProj ? 0 : countElements(copies);
      return countElements(params as ParamTree) - (routed / memories) * (memories - topK);
    },
  };
}

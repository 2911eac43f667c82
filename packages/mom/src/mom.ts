// Mixture-of-Memories (Du et al. 2025): a router sends each token to a few of many memories, so that memories interfere
// less; a shared memory sees every token.
//   y_t = Σ_j w_{t,j} · read(memory of choice j) + read(shared memory) ,  then the cell's norm, gate and projection
// Any MemoryCell can be the memory. Memories that a token is not routed to keep their state untouched. To the buckets the shared
// memory is one more memory, which every token chooses with weight 1: one projection and one scan serve them all.
import {
  batchSequences,
  groupedLinears,
  routeGather,
  routeGathers,
  routeMix,
  routePlan,
  type RoutePlan,
  type Sequences,
} from '@mnemix/kernels';
import {
  checkState,
  linear,
  mapsOf,
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
  checkConfig,
  checkCount,
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
import {
  copiesOf,
  initMom,
  ownParams,
  sharedParams,
  type Copies,
  type MomParams,
  type ParameterLayout,
} from './parameters.ts';

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

const mapRows = (rows: TokenRows | undefined, transform: (x: Tensor2D) => Tensor2D): TokenRows | undefined =>
  rows && Object.fromEntries(Object.entries(rows).map(([kind, x]) => [kind, transform(x)]));

export interface MomState<S extends State = State> {
  /** The cell's state; sequence s of memory m is entry m·S + s. The shared memory is the last. */
  readonly memories: S;
  readonly [name: string]: S;
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
  checkCount('mom(memories)', memories);
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
  /** Of all memories, the shared one among them. */
  const count = memories + Number(shared);
  const stateShape = (sequences: number) => ({ memories: cell.stateShape(count * sequences) });

  /** Rows are routed copies; a layer of a memory's own acts on the rows of that memory. */
  const bucketContext = (
    tokens: Tensor2D,
    plan: RoutePlan,
    state: S | undefined,
    crossLayer: CrossLayer,
    copies: Copies,
    map: (layer: LinearParams) => Tensor2D,
    mapped: readonly LinearParams[],
  ): ProjectContext<S> => {
    // Projecting before the copy gives the same rows for 1/K of the arithmetic.
    const [rows, ...made] = routeGathers([tokens, ...mapped.map(map)], plan) as [Tensor2D, ...Tensor2D[]];
    const common = new Map(mapped.map((layer, i) => [layer, made[i] as Tensor2D]));
    const commonLinear = (layer: LinearParams): Tensor2D =>
      common.get(layer) ?? (routeGather(map(layer), plan) as Tensor2D);
    const apply = (layers: readonly LinearParams[], x?: Tensor2D): Tensor2D[] => {
      if (singleKvProj) return layers.map((layer) => (x ? linear(x, layer) : commonLinear(layer)));
      const own = layers.map(({ weight, bias }) => ({
        weights: copiesOf(weight, copies),
        biases: bias && copiesOf(bias, copies),
      }));
      return groupedLinears(x ?? rows, own, { groups: plan.groups }) as Tensor2D[];
    };
    return {
      rows,
      sequences: plan.buckets,
      state,
      crossLayer: {
        ...crossLayer,
        tokens: mapRows(crossLayer.tokens, (x) => routeGather(x, plan) as Tensor2D),
      },
      commonLinear,
      linear: (layer, x) => apply([layer], x)[0] as Tensor2D,
      linears: (layers) => {
        const made = apply(Object.values(layers));
        return Object.fromEntries(Object.keys(layers).map((name, i) => [name, made[i]])) as never;
      },
    };
  };

  const readMemories = ({ params, tokens, sequences, crossLayer }: Pass, state: S | undefined) => {
    const { project, readout } = cell.tokenLayers?.(params as unknown as P) ?? { project: [], readout: [] };
    const { map, rows } = mapsOf(tokens, [params.gate, ...project, ...readout]);
    const logits = map(params.gate);
    const routed = route(logits, topK);
    const plan = routePlan(routed.choices, { memories, shared, allRouted: true, sequences });
    const own = singleKvProj
      ? { params: sharedParams(params, layout), copies: new Map() }
      : ownParams(params, layout);
    const context = bucketContext(rows, plan, state, crossLayer, own.copies, map, project);
    const inputs = cell.project(own.params as P, context);
    const { o, state: next } = cell.scan(inputs, state, plan.buckets);
    const mix = (copies: Tensor3D): Tensor3D =>
      routeMix({ o: copies, weights: routed.weights }, plan) as Tensor3D;
    return {
      y: mix(o),
      map,
      state: next,
      handOn: mapRows(cell.handOn?.(inputs), (x) => {
        const mixed = reshape(mix(expandDims(x, 1) as Tensor3D), [tokens.shape[0], x.shape[1]]) as Tensor2D;
        // The weights add up to 1 without the shared memory, to 2 with it.
        return shared ? mul(mixed, 0.5) : mixed;
      }),
      routing: { ...routed, rowSequence: sequences.rowSequence },
    };
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
      const read = readMemories(pass, state?.memories);
      const y = reshape(cell.readout(params as unknown as P, read.y, rows, read.map), x.shape) as Tensor3D;
      return {
        y,
        state: { memories: read.state },
        aux: { routing: read.routing },
        handOn: read.handOn,
      } as never;
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

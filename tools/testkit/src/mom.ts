/**
 * A Mixture-of-Memories layer in float64, one sequence and one token at a time: route the token, let each
 * chosen memory take it as the next of its own sequence, mix what they read. No grouping, so nothing in
 * common with how the product computes it. arXiv 2502.13685 §3, with fla's parameter names.
 */
import { at, linear, map, nd, reshape, rows, stack, zipWith, type NdArray } from './array.ts';
import { topKRouter, type Routing } from './blocks.ts';
import {
  parameter,
  setting,
  type CellOracle,
  type CellState,
  type FlaConfig,
  type Parameters,
} from './cells.ts';
import { gatedDeltaNet } from './delta-cells.ts';

/** State of one sequence. A memory that no token has chosen yet has none. */
export interface MomState {
  readonly memories: readonly (CellState | undefined)[];
  readonly shared: CellState | undefined;
}

/** Outcome for one sequence. */
export interface MomResult extends Routing {
  /** [T, d]; zeros for masked tokens. */
  readonly y: NdArray;
  readonly state: MomState;
  /** [T, M]. */
  readonly routerLogits: NdArray;
}

/** Options of {@link momForward}. */
export interface MomOptions {
  readonly state?: MomState | undefined;
  /** T numbers, 0 for padding: no memory sees such a token, and its output is zero. */
  readonly mask?: ArrayLike<number> | undefined;
  /** Gated DeltaNet if absent. Rotary cells take the token's position within its memory's own sequence. */
  readonly cell?: CellOracle | undefined;
}

/** fla's defaults of the MoM layer. */
const defaults = { num_heads: 4, head_dim: 256, expand_v: 2, num_memories: 8, topk: 2 };

/**
 * x [T, d] → y [T, d]. `config`: `num_memories`, `topk`, `shared_mem`, `single_kv_proj`, and the cell's own.
 */
export function momForward(
  parameters: Parameters,
  layerConfig: FlaConfig,
  x: NdArray,
  { state, mask, cell = gatedDeltaNet }: MomOptions = {},
): MomResult {
  // What fla's MoM calls use_output_gate, its delta cells call use_gate.
  const gate = layerConfig['use_output_gate'];
  const config = { ...defaults, ...(gate === undefined ? {} : { use_gate: gate }), ...layerConfig };
  const { num_memories: memoryCount, topk: topK } = config;
  const single = setting(config, 'single_kv_proj', false);
  const routerLogits = linear(x, parameter(parameters, 'gate.weight'));
  const routing = topKRouter(routerLogits, topK);

  const memoryParameters = Array.from({ length: memoryCount }, (_, m) =>
    single ? sharedParameters(parameters, cell) : parametersOfMemory(parameters, cell, m),
  );
  // The older layers keep the shared memory's parameters behind those of the routed ones.
  const isNamed = Object.keys(parameters).some((name) => name.startsWith('shared_'));
  const alwaysParameters = isNamed
    ? sharedParameters(parameters, cell)
    : parametersOfMemory(parameters, cell, memoryCount);
  const memories = Array.from({ length: memoryCount }, (_, m) => state?.memories[m]);
  let shared = state?.shared;
  const outputs: NdArray[] = [];
  for (let t = 0; t < x.shape[0]!; t++) {
    const token = rows(x, t, t + 1);
    if (mask !== undefined && !mask[t]) {
      outputs.push(nd(token.shape));
      continue;
    }
    let mixed: NdArray | undefined;
    const mix = (o: NdArray, weight: number): void => {
      const weighted = map(o, (value) => weight * value);
      mixed = mixed ? zipWith(mixed, weighted, (a, b) => a + b) : weighted;
    };
    for (let j = 0; j < topK; j++) {
      const m = at(routing.selected, t).data[j]!;
      const scanned = cell.scan(memoryParameters[m]!, config, token, memories[m]);
      memories[m] = scanned.state;
      mix(scanned.o, at(routing.weights, t).data[j]!);
    }
    if (setting(config, 'shared_mem', false)) {
      const scanned = cell.scan(alwaysParameters, config, token, shared);
      shared = scanned.state;
      mix(scanned.o, 1);
    }
    outputs.push(cell.readout(parameters, config, mixed!, token));
  }
  const y = reshape(stack(outputs), x.shape);
  return { y, state: { memories, shared }, routerLogits, ...routing };
}

/** `k_proj.<m>.weight` as `k_proj.weight` and so on, beside what all memories have in common. */
export function parametersOfMemory(parameters: Parameters, cell: CellOracle, memory: number): Parameters {
  return renamed(
    parameters,
    cell.perMemory.map((stem) => [`${stem}.${memory}.`, `${stem}.`]),
  );
}

/** `shared_k.weight` as `k_proj.weight` and so on, beside what all memories have in common. */
export function sharedParameters(parameters: Parameters, cell: CellOracle): Parameters {
  return renamed(
    parameters,
    cell.perMemory.map((stem) => [`shared_${stem.replace(/_proj$/, '')}.`, `${stem}.`]),
  );
}

function renamed(parameters: Parameters, prefixes: readonly (readonly [string, string])[]): Parameters {
  const entries = Object.entries(parameters).map(([name, value]) => {
    const match = prefixes.find(([from]) => name.startsWith(from));
    return [match ? match[1] + name.slice(match[0].length) : name, value] as const;
  });
  return Object.fromEntries(entries);
}

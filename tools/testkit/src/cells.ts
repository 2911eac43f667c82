/** Whole fla layers in float64, one sequence at a time: the cells' contract, and what they have in common. */
import { at, joinHeads, linear, map, mapVectors, nd, reshape, type NdArray } from './array.ts';
import { shortConvolution } from './blocks.ts';
import type { EngineResult } from './engines.ts';

/** A layer's parameters under fla's names: `q_proj.weight` [out, in], `A_log` [H], … */
export type Parameters = Readonly<Record<string, NdArray>>;

/** A layer's constructor arguments, fla's names in snake_case. What is absent or null takes fla's default. */
export type FlaConfig = Readonly<Record<string, unknown>>;

/** What one sequence carries from its past. */
export interface CellState {
  /** S [H, dk, dv]. */
  readonly recurrent: NdArray;
  /** Normalised linear attention: Σ φ(k) [H, dk]. */
  readonly normaliser?: NdArray;
  /** The last W raw inputs of the short convolutions, each [D, W]. */
  readonly windows: Readonly<Record<string, NdArray>>;
  /** Tokens seen: the rotary position of the next one. */
  readonly position: number;
  /** Whatever else a cell carries, by name. */
  readonly more?: Readonly<Record<string, NdArray>>;
}

/** One memory cell. */
export interface CellOracle {
  /** Stems of the parameters that every memory of a MoM layer has for itself (`k_proj`, …). */
  readonly perMemory: readonly string[];
  /** x [T, d] → what the memory reads out, o [T, H, dv], and the state after the last token. */
  scan(
    parameters: Parameters,
    config: FlaConfig,
    x: NdArray,
    state?: CellState,
  ): { o: NdArray; state: CellState };
  /** Norm, gate and output projection: o [T, H, dv], x [T, d] → y [T, d]. */
  readout(parameters: Parameters, config: FlaConfig, o: NdArray, x: NdArray): NdArray;
}

/** A cell as a layer by itself: x [T, d] → y [T, d], continuing from `state` if given. */
export function cellForward(
  cell: CellOracle,
  parameters: Parameters,
  config: FlaConfig,
  x: NdArray,
  state?: CellState,
): { y: NdArray; state: CellState } {
  const scanned = cell.scan(parameters, config, x, state);
  return { y: cell.readout(parameters, config, scanned.o, x), state: scanned.state };
}

/** A configuration value, or the default. */
export function setting<T>(config: FlaConfig, key: string, fallback: T): T {
  return (config[key] ?? fallback) as T;
}

/** A parameter that has to be there. */
export function parameter(parameters: Parameters, name: string): NdArray {
  const found = parameters[name];
  if (found === undefined)
    throw new Error(`No parameter ${name} among ${Object.keys(parameters).join(', ')}`);
  return found;
}

/** The parameters whose names start with `prefix`, without it. */
export function subtree(parameters: Parameters, prefix: string): Parameters {
  const matching = Object.entries(parameters).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(matching.map(([name, value]) => [name.slice(prefix.length), value]));
}

/**
 * `<name>_proj` of x, then `<name>_conv1d` along the sequence if the layer has one, split into heads:
 * [T, d] → [T, heads, width]. `activation` applies with or without the convolution.
 */
export function projectHeads(
  parameters: Parameters,
  name: 'q' | 'k' | 'v',
  x: NdArray,
  heads: number,
  state: CellState | undefined,
  activation: (x: number) => number,
): { heads: NdArray; window: Record<string, NdArray> } {
  const projected = linear(x, parameter(parameters, `${name}_proj.weight`), parameters[`${name}_proj.bias`]);
  const convolution = parameters[`${name}_conv1d.weight`];
  const convolved =
    convolution &&
    shortConvolution(projected, convolution, {
      bias: parameters[`${name}_conv1d.bias`],
      cache: state?.windows[name],
      activation: 'none',
    });
  const activated = map(convolved?.y ?? projected, activation);
  return {
    heads: reshape(activated, [x.shape[0]!, heads, activated.shape[1]! / heads]),
    window: convolved ? { [name]: convolved.cache } : {},
  };
}

/**
 * Repeats every head `groups` times in place: heads (a, b) → (a, a, b, b). x [T, H, width] → [T, H·groups,
 * width].
 */
export function repeatHeads(x: NdArray, groups: number): NdArray {
  const [tokens = 0, heads = 0, width = 0] = x.shape;
  const repeated = mapVectors(
    x,
    (head) => Array.from({ length: groups }, () => Array.from(head)).flat(),
    groups * width,
  );
  return reshape(repeated, [tokens, heads * groups, width]);
}

/** Runs an engine on every head: outputs [T, H, dv] and final states [H, dk, dv]. */
export function overHeads(
  heads: number,
  states: NdArray | undefined,
  engine: (head: number, initialState: NdArray | undefined) => Pick<EngineResult, 'output' | 'finalState'>,
): { o: NdArray; recurrent: NdArray } {
  const results = Array.from({ length: heads }, (_, h) => engine(h, states && at(states, h)));
  const recurrent = nd(
    [heads, ...results[0]!.finalState.shape],
    results.flatMap((result) => Array.from(result.finalState.data)),
  );
  return {
    o: at(
      joinHeads(
        results.map((result) => result.output),
        1,
        heads,
      ),
      0,
    ),
    recurrent,
  };
}

/** Joins the heads and projects: o [T, H, dv] → `o_proj` → [T, d]. */
export function projectOutput(parameters: Parameters, o: NdArray): NdArray {
  const joined = reshape(o, [o.shape[0]!, o.data.length / o.shape[0]!]);
  return linear(joined, parameter(parameters, 'o_proj.weight'), parameters['o_proj.bias']);
}

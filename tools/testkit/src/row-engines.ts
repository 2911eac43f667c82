/**
 * The engines over flat rows, as the product's kernels take them: rows [N, H, width] of many sequences, each
 * a range of consecutive rows, with scale and β inside. Rows of no range give output 0 and get gradient 0; a
 * sequence of length 0 hands its state through.
 */
import { at, headOf, map, nd, rows, stack, zipWith, type NdArray } from './array.ts';
import { deltaRuleBackward, diagonalDecayBackward } from './engine-gradients.ts';
import { deltaRule, diagonalDecay, type DeltaRuleInputs, type EngineResult } from './engines.ts';

/** Where one sequence lies in the rows. */
export interface RowRange {
  readonly start: number;
  readonly length: number;
}

/** Tensors by name; what is left out is undefined. */
type Tensors = Readonly<Record<string, NdArray | undefined>>;

/** S ← D S + k vᵀ; o = scale · Sᵀq. */
export type DiagonalDecayRowInputs = {
  /** [N, H, dk], unscaled; so is k. */
  readonly q: NdArray;
  readonly k: NdArray;
  /** [N, H, dv]. */
  readonly v: NdArray;
  /** [N, H] or [N, H, dk]. */
  readonly logDecay?: NdArray | undefined;
  /** [H, dk]. */
  readonly bonus?: NdArray | undefined;
  /** [S, H, dk, dv], one for each range. */
  readonly initialState?: NdArray | undefined;
};

/** The delta rule with e = β·(erase ?? k) and y = β·v; o = scale · Sᵀq. */
export type DeltaRuleRowInputs = {
  readonly q: NdArray;
  readonly k: NdArray;
  readonly v: NdArray;
  /** [N, H], ones if absent. */
  readonly beta?: NdArray | undefined;
  /** [N, H, dk]. */
  readonly erase?: NdArray | undefined;
  readonly logDecay?: NdArray | undefined;
  readonly initialState?: NdArray | undefined;
};

/** Outputs [N, H, dv] and the final state of every range [S, H, dk, dv]. */
export interface RowResult {
  readonly o: NdArray;
  readonly state: NdArray;
}

/** Gradients of the tensors given, in their shapes; the initial state's always. */
export type RowGradients<Inputs> = { readonly [Name in keyof Inputs]: Inputs[Name] } & {
  readonly initialState: NdArray;
};

interface RowOptions {
  /** dk^-1/2 if absent. */
  readonly scale?: number | undefined;
}

interface DeltaRuleRowOptions extends RowOptions {
  /** Whether e reads the undecayed state (Comba). */
  readonly eraseBeforeDecay?: boolean | undefined;
}

/** A dense batch: sequence b is rows [b·T, (b + 1)·T). */
export function denseRanges(batch: number, tokens: number): RowRange[] {
  return Array.from({ length: batch }, (_, b) => ({ start: b * tokens, length: tokens }));
}

/** {@link diagonalDecay} on every sequence and head. */
export function diagonalDecayRows(
  inputs: DiagonalDecayRowInputs,
  ranges: readonly RowRange[],
  options: RowOptions = {},
): RowResult {
  return forwardRows(diagonalDecayHead(scaleOf(inputs, options)), inputs, ranges);
}

/** Gradients of Σ o·dO + Σ state·dState for {@link diagonalDecayRows}. */
export function diagonalDecayRowsBackward(
  inputs: DiagonalDecayRowInputs,
  ranges: readonly RowRange[],
  dO: NdArray,
  dState?: NdArray,
  options: RowOptions = {},
): RowGradients<DiagonalDecayRowInputs> {
  return backwardRows(diagonalDecayHead(scaleOf(inputs, options)), inputs, ranges, dO, dState);
}

/** {@link deltaRule} on every sequence and head. */
export function deltaRuleRows(
  inputs: DeltaRuleRowInputs,
  ranges: readonly RowRange[],
  options: DeltaRuleRowOptions = {},
): RowResult {
  return forwardRows(deltaRuleHead(scaleOf(inputs, options), options.eraseBeforeDecay), inputs, ranges);
}

/** Gradients of Σ o·dO + Σ state·dState for {@link deltaRuleRows}. */
export function deltaRuleRowsBackward(
  inputs: DeltaRuleRowInputs,
  ranges: readonly RowRange[],
  dO: NdArray,
  dState?: NdArray,
  options: DeltaRuleRowOptions = {},
): RowGradients<DeltaRuleRowInputs> {
  return backwardRows(
    deltaRuleHead(scaleOf(inputs, options), options.eraseBeforeDecay),
    inputs,
    ranges,
    dO,
    dState,
  );
}

/** An engine on one head of one sequence, its inputs named as in the row form. */
interface HeadEngine<Inputs> {
  forward(inputs: Inputs): EngineResult;
  backward(inputs: Inputs, dO: NdArray, dState: NdArray | undefined): Tensors;
}

function scaleOf(inputs: { readonly q: NdArray }, options: RowOptions): number {
  return options.scale ?? inputs.q.shape[2]! ** -0.5;
}

function diagonalDecayHead(scale: number): HeadEngine<DiagonalDecayRowInputs> {
  const scaled = (inputs: DiagonalDecayRowInputs) => ({ ...inputs, q: map(inputs.q, (x) => scale * x) });
  return {
    forward: (inputs) => diagonalDecay(scaled(inputs)),
    backward: (inputs, dO, dState) => {
      const gradients = diagonalDecayBackward(scaled(inputs), dO, dState);
      return { ...gradients, q: map(gradients.q, (x) => scale * x) };
    },
  };
}

function deltaRuleHead(scale: number, eraseBeforeDecay = false): HeadEngine<DeltaRuleRowInputs> {
  const engineInputs = ({
    q,
    k,
    v,
    beta,
    erase,
    logDecay,
    initialState,
  }: DeltaRuleRowInputs): DeltaRuleInputs => ({
    q: map(q, (x) => scale * x),
    k,
    e: timesRows(erase ?? k, beta),
    y: timesRows(v, beta),
    logDecay,
    initialState,
    erase: eraseBeforeDecay ? 'undecayed' : 'decayed',
  });
  return {
    forward: (inputs) => deltaRule(engineInputs(inputs)),
    backward: (inputs, dO, dState) => {
      const { v, beta, erase, k } = inputs;
      const gradients = deltaRuleBackward(engineInputs(inputs), dO, dState);
      const dErase = timesRows(gradients.e, beta);
      return {
        q: map(gradients.q, (x) => scale * x),
        k: erase ? gradients.k : zipWith(gradients.k, dErase, (a, b) => a + b),
        v: timesRows(gradients.y, beta),
        beta: beta && zipWith(rowDots(gradients.y, v), rowDots(gradients.e, erase ?? k), (a, b) => a + b),
        erase: erase && dErase,
        logDecay: gradients.logDecay,
        initialState: gradients.initialState,
      };
    },
  };
}

/** Row t of x [T, width] times factors[t]. */
function timesRows(x: NdArray, factors: NdArray | undefined): NdArray {
  return factors ? map(x, (value, i) => value * factors.data[Math.floor(i / x.shape[1]!)]!) : x;
}

/** Σ_c a_tc b_tc: [T, width] → [T]. */
function rowDots(a: NdArray, b: NdArray): NdArray {
  const sums = nd([a.shape[0]!]);
  a.data.forEach((value, i) => (sums.data[Math.floor(i / a.shape[1]!)]! += value * b.data[i]!));
  return sums;
}

function forwardRows<Inputs extends DiagonalDecayRowInputs | DeltaRuleRowInputs>(
  engine: HeadEngine<Inputs>,
  inputs: Inputs,
  ranges: readonly RowRange[],
): RowResult {
  const heads = inputs.q.shape[1]!;
  const o = nd(inputs.v.shape);
  const states = ranges.map((range, s) =>
    stack(
      Array.from({ length: heads }, (_, h) => {
        const result = engine.forward(headInputs(inputs, range, s, h));
        addToHead(o, result.output, range, h);
        return result.finalState;
      }),
    ),
  );
  return { o, state: stack(states) };
}

function backwardRows<Inputs extends DiagonalDecayRowInputs | DeltaRuleRowInputs>(
  engine: HeadEngine<Inputs>,
  inputs: Inputs,
  ranges: readonly RowRange[],
  dO: NdArray,
  dState: NdArray | undefined,
): RowGradients<Inputs> {
  const [, heads = 0, dk = 0] = inputs.q.shape;
  const gradients: Record<string, NdArray> = {
    initialState: nd([ranges.length, heads, dk, inputs.v.shape[2]!]),
  };
  for (const [name, tensor] of Object.entries(inputs)) if (tensor) gradients[name] = nd(tensor.shape);
  ranges.forEach((range, s) => {
    for (let h = 0; h < heads; h++) {
      const dHead = headOf(rows(dO, range.start, range.start + range.length), h);
      const parts = engine.backward(headInputs(inputs, range, s, h), dHead, dState && at(at(dState, s), h));
      for (const [name, part] of Object.entries(parts)) {
        if (part === undefined) continue;
        if (name === 'initialState') at(at(gradients[name]!, s), h).data.set(part.data);
        else if (name === 'bonus') addTo(at(gradients[name]!, h), part);
        else addToHead(gradients[name]!, part, range, h);
      }
    }
  });
  return gradients as unknown as RowGradients<Inputs>;
}

/** The tensors of one head of one sequence: [T, width] and [T] from rows, u [dk], S [dk, dv]. */
function headInputs<Inputs extends DiagonalDecayRowInputs | DeltaRuleRowInputs>(
  inputs: Inputs,
  range: RowRange,
  sequence: number,
  head: number,
): Inputs {
  const pick = (name: string, tensor: NdArray): NdArray => {
    if (name === 'initialState') return at(at(tensor, sequence), head);
    if (name === 'bonus') return at(tensor, head);
    return headOf(rows(tensor, range.start, range.start + range.length), head);
  };
  const picked = Object.entries(inputs).map(([name, tensor]) => [
    name,
    tensor && pick(name, tensor as NdArray),
  ]);
  return Object.fromEntries(picked) as Inputs;
}

/** Adds part [T, ...] to head h of the range's rows of target [N, H, ...]. */
function addToHead(target: NdArray, part: NdArray, range: RowRange, head: number): void {
  for (let t = 0; t < range.length; t++) addTo(at(at(target, range.start + t), head), at(part, t));
}

function addTo(target: NdArray, part: NdArray): void {
  part.data.forEach((value, i) => (target.data[i]! += value));
}

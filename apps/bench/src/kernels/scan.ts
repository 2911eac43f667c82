// What the cases of the scans share: their shapes, data, costs, the recurrence in float64, and the recurrence in stock ops.
import { uniformSequences, type Sequences } from '@mnemix/kernels';
import {
  add,
  disposeTree,
  exp,
  matMul,
  mul,
  reshape,
  stack,
  sub,
  tensor,
  tidy,
  unstack,
  zeros,
  type Tensor,
} from '@mnemix/tensor';
import { bytesOf, freeInputs, type CaseOptions, type Cost, type Inputs, type KernelCase } from './case.ts';
import { noise, normalised, relativeError } from './data.ts';

export interface ScanShape {
  readonly batch: number;
  readonly tokens: number;
  readonly heads: number;
  /** Of keys and of values. */
  readonly width: number;
}

export type Gate = 'none' | 'scalar' | 'vector';

/** A memory's update; all are S ← Diag(e^g) S + k uᵀ + b (aᵀ S_before), o = scale · Sᵀ q. */
export interface ScanRule {
  /** u = β (v − Sᵀ k) instead of v. */
  readonly corrects: boolean;
  /** There are a and b. */
  readonly recalls: boolean;
  readonly gate: Gate;
}

interface ScanCaseOptions {
  readonly family: string;
  readonly op: string;
  readonly shape: ScanShape;
  readonly rule: ScanRule;
  readonly run: (inputs: Inputs, options: { readonly sequences: Sequences }) => Tensor;
  readonly isMain: boolean;
  readonly isAlone?: boolean;
  /** Floats that the arithmetic of one token and head takes, forward and backward. */
  readonly flops: (shape: ScanShape) => { readonly forward: number; readonly backward: number };
}

/** Of the main table, of decoding, and small ones. */
export const scanShapes = ({ quick }: CaseOptions): readonly (ScanShape & { readonly isMain: boolean })[] =>
  quick
    ? [
        { batch: 2, tokens: 70, heads: 2, width: 16, isMain: true },
        { batch: 4, tokens: 1, heads: 2, width: 16, isMain: false },
      ]
    : [
        { batch: 8, tokens: 2048, heads: 8, width: 128, isMain: true },
        { batch: 8, tokens: 2048, heads: 8, width: 64, isMain: false },
        { batch: 64, tokens: 1, heads: 8, width: 128, isMain: false },
      ];

/** Tokens of a chunk, for the count of operations. */
export const CHUNK = 64;
/** More tokens one after the other take too long. */
const NAIVE_TOKENS = 64;

export const shapeText = ({ batch, tokens, heads, width }: ScanShape): string =>
  `${batch}×${tokens}×${heads}×${width}`;

export function scanCase({
  family,
  op,
  shape,
  rule,
  run,
  isMain,
  isAlone = false,
  flops,
}: ScanCaseOptions): KernelCase {
  const { batch, tokens, heads, width } = shape;
  return {
    family,
    op,
    shape: shapeText(shape),
    precisions: ['float32', 'mixed'],
    isMain,
    isAlone,
    prepare: () => {
      const values = dataOf(shape, rule);
      const shapes = shapesOf([batch * tokens, heads], width);
      const inputs = tensorsOf(values, shapes);
      const sequences = uniformSequences(batch, tokens);
      const few = Math.min(tokens, NAIVE_TOKENS);
      const naiveInputs = isAlone
        ? undefined
        : tensorsOf(dataOf({ ...shape, tokens: few }, rule), shapesOf([few, batch * heads], width));
      const count = batch * tokens * heads;
      const per = flops(shape);
      const forward: Cost = { flops: count * per.forward, bytes: bytesOf(inputs, count * width) };
      const training: Cost = {
        flops: count * (per.forward + per.backward),
        bytes: forward.bytes + bytesOf(inputs, inputs, count * width),
      };
      return {
        inputs,
        run: (given) => run(given, { sequences }),
        ...(naiveInputs && {
          naive: { inputs: naiveInputs, run: (given) => naiveScan(given, rule), scale: tokens / few },
        }),
        cost: { forward, ...(tokens > 1 && { training }) },
        errorOf: (found) => headError(found, values, shape, rule),
        dispose: () => {
          freeInputs(inputs, naiveInputs)();
          const { starts, lengths, rowSequence } = sequences;
          disposeTree({ starts, lengths, rowSequence });
        },
      };
    },
  };
}

type Values = Readonly<Record<string, Float32Array>>;

/** Rows of tokens and heads. Keys have length 1, gates lie between −0.5 and 0, β and the recall's strength between 0 and 1. */
function dataOf({ batch, tokens, heads, width }: ScanShape, { corrects, recalls, gate }: ScanRule): Values {
  const rows = batch * tokens * heads;
  const positive = (values: Float32Array, factor: number): Float32Array =>
    values.map((value) => (factor * (value + 1)) / 2);
  const recallKeys = recalls ? normalised(noise(6, rows * width), width) : undefined;
  return {
    q: noise(1, rows * width),
    k: normalised(noise(2, rows * width), width),
    v: noise(3, rows * width),
    ...(gate !== 'none' && { logDecay: positive(noise(4, gate === 'vector' ? rows * width : rows), -0.5) }),
    ...(corrects && { beta: positive(noise(5, rows), 1) }),
    ...(recallKeys && { a: recallKeys.map((value) => -value), b: recallKeys.map((value) => value / 2) }),
  };
}

/** A shape for what has a value for each row and channel, and one for what has one for each row. */
const shapesOf = (
  rows: readonly number[],
  width: number,
): { readonly channels: number[]; readonly single: number[] } => ({
  channels: [...rows, width],
  single: [...rows],
});

const tensorsOf = (values: Values, { channels, single }: ReturnType<typeof shapesOf>): Inputs => {
  const size = channels.reduce((a, b) => a * b, 1);
  return Object.fromEntries(
    Object.entries(values).map(([name, data]) => [
      name,
      tensor(data, data.length === size ? channels : single),
    ]),
  );
};

/** The recurrence as one would write it down: [T, G, d] each, G heads of all sequences. */
function naiveScan(inputs: Inputs, { corrects, recalls, gate }: ScanRule): Tensor {
  return tidy(() => {
    const [, heads = 0, width = 0] = (inputs.q as Tensor).shape;
    const at = Object.fromEntries(Object.entries(inputs).map(([name, x]) => [name, unstack(x, 0)]));
    const column = (name: string, t: number): Tensor => reshape(at[name]?.[t] as Tensor, [heads, width, 1]);
    const row = (name: string, t: number): Tensor => reshape(at[name]?.[t] as Tensor, [heads, 1, width]);
    const factor = (name: string, t: number): Tensor => reshape(at[name]?.[t] as Tensor, [heads, 1, 1]);
    const read: Tensor[] = [];
    let state: Tensor = zeros([heads, width, width]);
    for (let t = 0; t < (at.q as Tensor[]).length; t++) {
      const recalled = recalls ? matMul(row('a', t), state) : undefined;
      if (gate !== 'none') {
        state = mul(state, exp(gate === 'vector' ? column('logDecay', t) : factor('logDecay', t)));
      }
      const written = corrects
        ? mul(sub(row('v', t), matMul(row('k', t), state)), factor('beta', t))
        : row('v', t);
      state = add(state, matMul(column('k', t), written));
      if (recalled) state = add(state, matMul(column('b', t), recalled));
      read.push(reshape(matMul(row('q', t), state), [heads, width]));
    }
    return mul(stack(read), width ** -0.5);
  });
}

/** Of the last sequence's last head, by the recurrence in float64. */
function headError(
  found: ArrayLike<number>,
  values: Values,
  { batch, tokens, heads, width }: ScanShape,
  { corrects, recalls, gate }: ScanRule,
): number {
  const state = new Float64Array(width * width);
  const [recalled, written] = [new Float64Array(width), new Float64Array(width)];
  const at = (name: string, index: number): number => values[name]?.[index] as number;
  const pairs: [number, number][] = [];
  for (let t = 0; t < tokens; t++) {
    const row = ((batch - 1) * tokens + t) * heads + heads - 1;
    const first = row * width;
    if (recalls) {
      recalled.fill(0);
      for (let i = 0; i < width; i++) {
        const a = at('a', first + i);
        for (let j = 0; j < width; j++) recalled[j]! += a * state[i * width + j]!;
      }
    }
    for (let i = 0; i < width; i++) {
      const decay = gate === 'none' ? 1 : Math.exp(at('logDecay', gate === 'vector' ? first + i : row));
      for (let j = 0; j < width; j++) state[i * width + j]! *= decay;
    }
    for (let j = 0; j < width; j++) written[j] = at('v', first + j);
    if (corrects) {
      const beta = at('beta', row);
      for (let i = 0; i < width; i++) {
        const k = at('k', first + i);
        for (let j = 0; j < width; j++) written[j]! -= k * state[i * width + j]!;
      }
      for (let j = 0; j < width; j++) written[j]! *= beta;
    }
    const read = new Float64Array(width);
    for (let i = 0; i < width; i++) {
      const [q, k, b] = [at('q', first + i), at('k', first + i), recalls ? at('b', first + i) : 0];
      for (let j = 0; j < width; j++) {
        const value = (state[i * width + j]! += k * written[j]! + b * recalled[j]!);
        read[j]! += q * value;
      }
    }
    for (let j = 0; j < width; j++) pairs.push([found[first + j]!, read[j]! * width ** -0.5]);
  }
  return relativeError(pairs);
}

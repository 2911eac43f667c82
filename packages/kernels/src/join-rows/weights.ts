// A weight that is the rows of a list of tensors, each with a gradient of its own.
import { currentDevice, currentPrecision, noGrad, type Precision, type Tensor } from '@mnemix/tensor';
import { joinOp, splitLike } from './op.ts';
import { named, nameOf, type Parts } from './parts.ts';

/** Inputs of an op: part0, part1, … [N_i, in]; and `weight` [Σ N_i, in], them joined, where its products read that. */
export type Weights = { weight: Tensor | undefined; [part: string]: Tensor | undefined };

/** What a map's plans are asked about. */
export interface MapCall {
  /** Of the inputs that are present. */
  readonly shapes: Readonly<Record<string, readonly number[] | undefined>>;
  readonly device: GPUDevice;
  readonly precision: Precision;
}

/**
 * @param others inputs that its plans depend on
 * @param takesList whether its products take the list as it is. Else it is joined here, once for the map and its gradient
 */
export function weightsOf(
  list: readonly Tensor[],
  others: Readonly<Record<string, Tensor>>,
  takesList: (call: MapCall) => boolean,
): Weights {
  const parts = named(list);
  const device = currentDevice();
  const shapes = Object.fromEntries(
    Object.entries({ ...others, ...parts }).map(([name, { shape }]) => [name, shape]),
  );
  const isTaken = device !== undefined && takesList({ shapes, device, precision: currentPrecision() });
  return { weight: isTaken ? undefined : noGrad(() => joinOp(parts, {}).y), ...parts };
}

/** The parts among an op's inputs, or those of their shapes, in order. */
export function partsOf<T>(inputs: Readonly<Record<string, T | undefined>>): Record<string, T> {
  const parts: Record<string, T> = {};
  for (let i = 0; inputs[nameOf(i)] !== undefined; i++) parts[nameOf(i)] = inputs[nameOf(i)] as T;
  return parts;
}

export const wholeOf = (inputs: Weights): Tensor => inputs.weight ?? joinOp(partsOf(inputs), {}).y;

const gradientOf = (i: number): string => `dPart${i}`;

/** Of the gradients of so many parts, among an op's outputs. */
export const gradientNames = (count: number): string[] =>
  Array.from({ length: count }, (_, i) => gradientOf(i));

/** The gradient of each part, from that of the whole. */
export const apart = (dWeight: Tensor, inputs: Weights): Parts =>
  Object.fromEntries(
    Object.values(splitLike(dWeight, Object.values(partsOf<Tensor>(inputs)))).map((part, i) => [
      gradientOf(i),
      part,
    ]),
  );

/** What a tape wants of an op's outputs: the gradients of the parts by the parts' names. */
export function ofParts(made: Readonly<Record<string, Tensor>>): Parts {
  const parts: Parts = {};
  for (let i = 0; made[gradientOf(i)]; i++) parts[nameOf(i)] = made[gradientOf(i)] as Tensor;
  return parts;
}

const rowsOf = (shape: readonly number[]): number => shape.slice(0, -1).reduce((a, b) => a * b, 1);

/** The rows of each tensor that products read the weight from: `weight`, or the parts. */
export function sourcesOf(shapes: MapCall['shapes']): Record<string, number> {
  const { weight } = shapes;
  const sources = weight ? { weight } : partsOf(shapes);
  return Object.fromEntries(Object.entries(sources).map(([name, shape]) => [name, rowsOf(shape)]));
}

/** The weight's gradients, by their names: `dWeight` of one that is no list. */
export function gradientsOf(shapes: MapCall['shapes']): Record<string, readonly number[]> {
  const parts = Object.values(partsOf(shapes));
  return parts.length > 0
    ? Object.fromEntries(parts.map((shape, i) => [gradientOf(i), shape]))
    : { dWeight: shapes['weight'] as readonly number[] };
}

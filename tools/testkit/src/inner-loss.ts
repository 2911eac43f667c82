/** What the layers around TTT-linear and Titans have in common, in float64. */
import { at, joinHeads, linear, map, mapVectors, type NdArray } from './array.ts';
import { gatedRmsNorm, rmsNorm, sigmoid } from './blocks.ts';
import { parameter, projectOutput, setting, type FlaConfig, type Parameters } from './cells.ts';

/** o + w ⊙ LN(o) + b of each head, with w and b [H, D] of the parameter `name`: o [T, H, D]. */
export function throughInnerNorm(parameters: Parameters, name: string, o: NdArray): NdArray {
  const weight = parameter(parameters, `${name}.weight`);
  const bias = parameter(parameters, `${name}.bias`);
  return mapVectors(o, (vector, index) => {
    const head = index % weight.shape[0]!;
    const mean = (x: Float64Array): number => x.reduce((sum, value) => sum + value, 0) / x.length;
    const centred = vector.map((value) => value - mean(vector));
    const deviation = Math.sqrt(mean(centred.map((value) => value ** 2)) + 1e-6);
    return vector.map(
      (value, i) => value + (at(weight, head).data[i]! * centred[i]!) / deviation + at(bias, head).data[i]!,
    );
  });
}

/** W_o (RMSNorm(o)·w ⊙ silu(W_g x)), or without the gate: o [T, H, D], x [T, d]. */
export function gatedReadout(parameters: Parameters, config: FlaConfig, o: NdArray, x: NdArray): NdArray {
  const weight = parameter(parameters, 'o_norm.weight');
  const epsilon = setting(config, 'norm_eps', 1e-5);
  const gate = parameters['g_proj.weight'];
  return projectOutput(
    parameters,
    gate ? gatedRmsNorm(o, linear(x, gate), weight, epsilon) : rmsNorm(o, weight, epsilon),
  );
}

/** σ(W x + b) of the layer `name`, [T, H]. */
export const sigmoidGate = (parameters: Parameters, name: string, x: NdArray): NdArray =>
  map(linear(x, parameter(parameters, `${name}.weight`), parameter(parameters, `${name}.bias`)), sigmoid);

/** Outputs of all heads [T, D] side by side, [T, H, D]. */
export const joinOutputs = (outputs: readonly NdArray[]): NdArray =>
  at(joinHeads(outputs, 1, outputs.length), 0);

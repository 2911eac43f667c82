// Rotation for the CPU and WASM backends, with angles in float64.
import { hostKernel } from '@mnemix/tensor';
import { frequenciesOf, type Attrs, type Inputs } from './portable.ts';

export const forward = hostKernel<Inputs, Attrs>({
  outputs: ({ x }) => [{ shape: x.shape }],
  run: ({ x, positions }, [y], { base, inverse }) => {
    const [rows = 0, heads = 0, width = 0] = x.shape;
    const half = width / 2;
    const out = (y as typeof x).data;
    const angles = frequenciesOf(width, base).map((frequency) => (inverse ? -frequency : frequency));
    const [stepCosines, stepSines] = [angles.map(Math.cos), angles.map(Math.sin)];
    const cosines = new Float64Array(half);
    const sines = new Float64Array(half);
    let last = NaN;
    for (let row = 0; row < rows; row++) {
      const position = positions.data[row] as number;
      for (let i = 0; i < half; i++) {
        if (position === last + 1) {
          // The next position's by one more turn of the last one's: a sine costs ten times as much.
          const [c, s] = [cosines[i] as number, sines[i] as number];
          const [stepC, stepS] = [stepCosines[i] as number, stepSines[i] as number];
          cosines[i] = c * stepC - s * stepS;
          sines[i] = s * stepC + c * stepS;
        } else {
          cosines[i] = Math.cos(position * (angles[i] as number));
          sines[i] = Math.sin(position * (angles[i] as number));
        }
      }
      last = position;
      for (let head = 0; head < heads; head++) {
        const start = (row * heads + head) * width;
        for (let i = 0; i < half; i++) {
          const [c, s] = [cosines[i] as number, sines[i] as number];
          const first = x.data[start + i] as number;
          const second = x.data[start + half + i] as number;
          out[start + i] = first * c - second * s;
          out[start + half + i] = first * s + second * c;
        }
      }
    }
  },
});

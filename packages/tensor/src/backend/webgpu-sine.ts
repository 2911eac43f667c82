// Sine and cosine on WebGPU to float32's own precision. WGSL promises no more than 2^-11 between −π and π, and adapters take the
// offer (SwiftShader errs by 2e-4): too little for rotary positions (trap 28).

/** Which of the two. */
export type Wave = 'sin' | 'cos';

/** What tfjs needs to spread a program over workgroups. */
export interface Layout {
  readonly computeDispatch: (
    layout: { x: number[] },
    shape: number[],
    workgroup: [number, number, number],
  ) => [number, number, number];
  readonly flatDispatchLayout: (shape: number[]) => { x: number[] };
}

/**
 * The program of an elementwise sine or cosine, in the form of tfjs's own.
 *
 * x = n·π/2 + r with |r| ≤ π/4: π/2 in three parts of few digits, so that the products with n lose next to nothing (Cody &
 * Waite 1980), then the minimax polynomials of Cephes' sinf and cosf, swapped and negated by the quadrant n mod 4. Good to 3e-7
 * for |x| up to 10⁴, where float32 itself knows angles to 1e-3.
 */
export function waveProgram(wave: Wave, shape: readonly number[], layout: Layout): object {
  const outputShape = [...shape];
  const workgroupSize: [number, number, number] = [64, 1, 1];
  const dispatchLayout = layout.flatDispatchLayout(outputShape);
  return {
    variableNames: ['A'],
    workgroupSize,
    size: true,
    outputShape,
    dispatchLayout,
    dispatch: layout.computeDispatch(dispatchLayout, outputShape, workgroupSize),
    shaderKey: `mnemix_${wave}`,
    getUserCode: () => `
      fn wave(x : f32) -> f32 {
        let n = round(x * 0.63661977236758134);
        let r = ((x - n * 1.5703125) - n * 4.837512969970703125e-4) - n * 7.54978995489188216e-8;
        let z = r * r;
        let sine = ((-1.9515295891e-4 * z + 8.3321608736e-3) * z - 1.6666654611e-1) * z * r + r;
        let cosine = ((2.443315711809948e-5 * z - 1.388731625493765e-3) * z + 4.166664568298827e-2) * z * z
          - 0.5 * z + 1.0;
        let quadrant = (i32(n)${wave === 'cos' ? ' + 1' : ''}) & 3;
        let value = select(sine, cosine, (quadrant & 1) == 1);
        return select(value, -value, quadrant >= 2);
      }
      fn main(index : i32) {
        if (index < uniforms.size) {
          setOutputAtIndex(index, wave(getAByOutputIndex(index)));
        }
      }`,
  };
}

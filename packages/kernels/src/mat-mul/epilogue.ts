// What is done to sums before they are written: the bias and the activations of tfjs's fused product.

export type Activation = 'linear' | 'relu' | 'relu6' | 'elu' | 'sigmoid' | 'leakyrelu' | 'prelu';

/** The buffers `bias` and `slopes` (of `prelu`) hold one value for each column, or one for all. */
export interface Epilogue {
  readonly hasBias: boolean;
  readonly activation: Activation;
}

const EXPRESSIONS: Readonly<Record<Activation, string>> = {
  linear: 'x',
  relu: 'max(x, vec4f())',
  relu6: 'clamp(x, vec4f(), vec4f(6))',
  elu: 'select(exp(min(x, vec4f())) - 1, x, x >= vec4f())',
  sigmoid: 'select(exp(-abs(x)), vec4f(1), x >= vec4f()) / (1 + exp(-abs(x)))',
  leakyrelu: 'select(sizes.alpha * x, x, x >= vec4f())',
  prelu: 'select(slope * x, x, x >= vec4f())',
};

/** The buffers that it reads, in the order of their bindings. */
export const epilogueBuffers = ({ hasBias, activation }: Epilogue): string[] => [
  ...(hasBias ? ['bias'] : []),
  ...(activation === 'prelu' ? ['slopes'] : []),
];

/**
 * `write(at, column, sum)`: takes the sums of up to four neighbouring columns of y to where they belong.
 *
 * @param isVector the columns of y are a multiple of 4, and y an array of vectors
 */
export const writeWgsl = (epilogue: Epilogue, isVector: boolean): string => `
fn write(at: u32, column: u32, sum: vec4f) {
  let x = sum${epilogue.hasBias ? ` + ${ofColumns('bias')}` : ''};
  ${epilogue.activation === 'prelu' ? `let slope = ${ofColumns('slopes')};` : ''}
  let value = ${EXPRESSIONS[epilogue.activation]};
  ${isVector ? 'y[at / 4] = value;' : [0, 1, 2, 3].map((c) => `if (column + ${c} < sizes.columns) { y[at + ${c}] = value[${c}]; }`).join(' ')}
}`;

const ofColumns = (name: string): string =>
  `vec4f(${[0, 1, 2, 3].map((c) => `${name}[min(column + ${c}, arrayLength(&${name}) - 1)]`).join(', ')})`;

/**
 * The oracles' numbers: a row-major float64 array and the few helpers that they need.
 * Not a tensor library: no broadcasting, no gradients, no speed.
 */

/** A row-major array of `shape` (product of its sizes = `data.length`). */
export interface NdArray {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** Numbers nested to any depth, as JSON holds them. */
export type Nested = number | readonly Nested[];

/** Number of entries of an array of this shape (1 for the shape of a scalar). */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * An array of `shape` that holds a copy of `values`, or zeros.
 * @throws RangeError if `values` does not have as many entries as the shape asks for.
 */
export function nd(shape: readonly number[], values?: ArrayLike<number>): NdArray {
  const size = sizeOf(shape);
  if (values !== undefined && values.length !== size) {
    throw new RangeError(`nd: shape [${shape}] holds ${size} values, got ${values.length}`);
  }
  return {
    shape: [...shape],
    data: values === undefined ? new Float64Array(size) : Float64Array.from(values),
  };
}

/** Shape of nested numbers, read along their first entries. */
export function nestedShape(nested: Nested): number[] {
  const shape: number[] = [];
  for (let level: Nested | undefined = nested; Array.isArray(level); level = level[0])
    shape.push(level.length);
  return shape;
}

/**
 * `[[1, 2], [3, 4]]` → shape [2, 2].
 * @throws RangeError if the nesting is ragged.
 */
export function fromNested(nested: Nested): NdArray {
  const shape = nestedShape(nested);
  const values: number[] = [];
  const visit = (part: Nested, depth: number): void => {
    if (typeof part === 'number' ? depth !== shape.length : part.length !== shape[depth]) {
      throw new RangeError(`fromNested: ragged nesting at depth ${depth}, expected shape [${shape}]`);
    }
    if (typeof part === 'number') values.push(part);
    else for (const item of part) visit(item, depth + 1);
  };
  visit(nested, 0);
  return nd(shape, values);
}

/** `a[begin:end]` along axis 0; a view on the same numbers. */
export function rows(a: NdArray, begin: number, end: number): NdArray {
  const [count = 0, ...rest] = a.shape;
  if (begin < 0 || end > count || begin > end) {
    throw new RangeError(`rows: [${begin}, ${end}) lies outside axis 0 of shape [${a.shape}]`);
  }
  const stride = sizeOf(rest);
  return { shape: [end - begin, ...rest], data: a.data.subarray(begin * stride, end * stride) };
}

/** `a[i]` along axis 0; a view on the same numbers. */
export function at(a: NdArray, i: number): NdArray {
  return { shape: a.shape.slice(1), data: rows(a, i, i + 1).data };
}

/** The same numbers under another shape; a view. */
export function reshape(a: NdArray, shape: readonly number[]): NdArray {
  if (sizeOf(shape) !== a.data.length) throw new RangeError(`reshape: [${a.shape}] does not fit [${shape}]`);
  return { shape: [...shape], data: a.data };
}

/** Arrays one after another along axis 0. All have the same shape behind that axis. */
export function concat(arrays: readonly NdArray[]): NdArray {
  const rest = arrays[0]?.shape.slice(1) ?? [];
  const count = arrays.reduce((sum, a) => sum + (a.shape[0] ?? 0), 0);
  const joined = nd([count, ...rest]);
  let offset = 0;
  for (const a of arrays) {
    if (a.shape.slice(1).join() !== rest.join()) {
      throw new RangeError(`concat: shapes [${a.shape}] and [${arrays[0]?.shape}] differ behind axis 0`);
    }
    joined.data.set(a.data, offset);
    offset += a.data.length;
  }
  return joined;
}

/** Arrays of one shape under a new axis 0. */
export function stack(arrays: readonly NdArray[]): NdArray {
  return concat(arrays.map((a) => reshape(a, [1, ...a.shape])));
}

/** `f` of every entry. */
export function map(a: NdArray, f: (value: number, index: number) => number): NdArray {
  return { shape: a.shape, data: a.data.map(f) };
}

/** `f` of the entries at the same place in two arrays of one shape. */
export function zipWith(a: NdArray, b: NdArray, f: (a: number, b: number) => number): NdArray {
  if (a.shape.join() !== b.shape.join()) throw new RangeError(`zipWith: [${a.shape}] against [${b.shape}]`);
  return map(a, (value, i) => f(value, b.data[i]!));
}

/** Sum of the products of entries at the same place. */
export function dot(a: NdArray, b: NdArray): number {
  return zipWith(a, b, (x, y) => x * y).data.reduce((sum, value) => sum + value, 0);
}

/**
 * `f` of every vector along the last axis; all results have `newWidth` entries (as many as the input's if
 * absent).
 */
export function mapVectors(
  a: NdArray,
  f: (vector: Float64Array, index: number) => ArrayLike<number>,
  newWidth = a.shape.at(-1) ?? 1,
): NdArray {
  const width = a.shape.at(-1) ?? 1;
  const results = Array.from({ length: a.data.length / width }, (_, i) =>
    f(a.data.subarray(i * width, (i + 1) * width), i),
  );
  return nd(
    [...a.shape.slice(0, -1), newWidth],
    results.flatMap((result) => Array.from(result)),
  );
}

/** `x Wᵀ + b` as in PyTorch: x [..., in], weight [out, in], bias [out] → [..., out]. */
export function linear(x: NdArray, weight: NdArray, bias?: NdArray): NdArray {
  const [outputs = 0, inputs = 0] = weight.shape;
  if (x.shape.at(-1) !== inputs) throw new RangeError(`linear: x [${x.shape}], weight [${weight.shape}]`);
  const w = weight.data;
  return mapVectors(
    x,
    (vector) => {
      const y = new Float64Array(outputs);
      for (let o = 0; o < outputs; o++) {
        let sum = bias?.data[o] ?? 0;
        for (let i = 0; i < inputs; i++) sum += w[o * inputs + i]! * vector[i]!;
        y[o] = sum;
      }
      return y;
    },
    outputs,
  );
}

/** One head of a sequence: x [T, H, ...] → [T, ...]. A copy. */
export function headOf(x: NdArray, head: number): NdArray {
  const [tokens = 0, , ...rest] = x.shape;
  return {
    shape: [tokens, ...rest],
    data: stack(Array.from({ length: tokens }, (_, t) => at(at(x, t), head))).data,
  };
}

/** One head of one sequence of a batch: x [B, T, H, ...] → [T, ...]. A copy. */
export function sliceHead(x: NdArray, batch: number, head: number): NdArray {
  return headOf(at(x, batch), head);
}

/** The inverse of {@link sliceHead}: parts[b·H + h] [T, ...] → [B, T, H, ...]. */
export function joinHeads(parts: readonly NdArray[], batch: number, heads: number): NdArray {
  const [tokens = 0, ...rest] = parts[0]?.shape ?? [];
  const sequences = Array.from({ length: batch }, (_, b) =>
    Array.from({ length: tokens }, (_, t) =>
      stack(Array.from({ length: heads }, (_, h) => at(parts[b * heads + h]!, t))),
    ),
  );
  return reshape(concat(sequences.flat()), [batch, tokens, heads, ...rest]);
}

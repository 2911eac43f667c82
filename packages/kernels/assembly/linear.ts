// Linear maps of rows, y = x·Wᵀ + b, and their gradients. Each is a product A·B of operands that are copied
// next to each other first, a block of rows at a time: A as strips of 4 rows, B as panels of 8 columns, both
// depth-major and filled up with zeros. So one tile of 4 × 8 sums, held in registers, does them all.
import { loadUpTo, storeUpTo } from './vectors';

/** Rows of A in a strip, and columns of B in a panel. */
const STRIP: i32 = 4;
const PANEL: i32 = 8;
/** Rows of activations that are copied at a time: few enough to stay in cache at common widths. */
const BLOCK: i32 = 64;
/** Columns of B that are copied at a time, which bounds the scratch memory of large weights. */
const CHUNK: i32 = 256;
const TILE_BYTES: usize = 128;

@inline
function bytes(rows: i32, width: i32): usize {
  return (usize(rows) * usize(width)) << 2;
}

/** `n` filled up to whole groups of `size`, a power of two. */
@inline
function padded(n: i32, size: i32): i32 {
  return (n + size - 1) & -size;
}

/** Bytes that `linear` works in. */
export function linearScratch(inputs: i32, outputs: i32): usize {
  return productScratch(inputs, outputs);
}

/** x [rows, inputs], weight [outputs, inputs], bias [outputs] or 0 → y [rows, outputs]. */
export function linear(
  x: usize, weight: usize, bias: usize, y: usize, scratch: usize, rows: i32, inputs: i32, outputs: i32,
): void {
  const edge = scratch, panels = edge + TILE_BYTES;
  const stride = bytes(1, inputs);
  for (let column = 0; column < outputs; column += CHUNK) {
    const columns = min(CHUNK, outputs - column), here = bytes(1, column);
    const strips = panels + bytes(padded(columns, PANEL), inputs);
    packRows(weight + bytes(column, inputs), stride, panels, columns, inputs, PANEL);
    multiplyRows(x, panels, bias ? bias + here : 0, y + here, strips, edge, rows, inputs, outputs, columns);
  }
}

/** Bytes that `linearBackward` works in. */
export function linearBackwardScratch(inputs: i32, outputs: i32): usize {
  const weightGradient = TILE_BYTES + bytes(BLOCK, padded(inputs, PANEL) + padded(outputs, STRIP));
  return max(productScratch(outputs, inputs), weightGradient);
}

/** dx = dy·W, dWeight = dyᵀ·x, dBias = Σ dy. */
export function linearBackward(
  x: usize, weight: usize, dy: usize, dx: usize, dWeight: usize, dBias: usize, scratch: usize,
  rows: i32, inputs: i32, outputs: i32,
): void {
  const edge = scratch, panels = edge + TILE_BYTES;
  const inBytes = bytes(1, inputs), outBytes = bytes(1, outputs);
  for (let column = 0; column < inputs; column += CHUNK) {
    const columns = min(CHUNK, inputs - column), here = bytes(1, column);
    const strips = panels + bytes(padded(columns, PANEL), outputs);
    packColumns(weight + here, inBytes, panels, outputs, columns, PANEL);
    multiplyRows(dy, panels, 0, dx + here, strips, edge, rows, outputs, inputs, columns);
  }
  memory.fill(dBias, 0, outBytes);
  if (rows == 0) memory.fill(dWeight, 0, inBytes * outputs);
  const strips = panels + bytes(BLOCK, padded(inputs, PANEL));
  for (let row = 0; row < rows; row += BLOCK) {
    const count = min(BLOCK, rows - row);
    packColumns(dy + bytes(row, outputs), outBytes, strips, count, outputs, STRIP);
    packColumns(x + bytes(row, inputs), inBytes, panels, count, inputs, PANEL);
    const before = row ? dWeight : 0;
    multiply(strips, panels, count, before, inBytes, dWeight, inBytes, outputs, inputs, edge);
    addSums(strips, dBias, count, outputs);
  }
}

/** Of a tile, a chunk of panels and a block of strips. */
function productScratch(depth: i32, columns: i32): usize {
  return TILE_BYTES + bytes(min(CHUNK, padded(columns, PANEL)) + BLOCK, depth);
}

/** `columns` of the `width` columns of y [rows, width] = x·B + bias; x is [rows, depth]. */
function multiplyRows(
  x: usize, panels: usize, bias: usize, y: usize, strips: usize, edge: usize,
  rows: i32, depth: i32, width: i32, columns: i32,
): void {
  const stride = bytes(1, depth);
  for (let row = 0; row < rows; row += BLOCK) {
    const count = min(BLOCK, rows - row);
    packRows(x + bytes(row, depth), stride, strips, count, depth, STRIP);
    multiply(strips, panels, depth, bias, 0, y + bytes(row, width), bytes(1, width), count, columns, edge);
  }
}

/** [count, width], rows `stride` bytes apart → strips of `size` rows, each [width, size]. */
function packRows(from: usize, stride: usize, to: usize, count: i32, width: i32, size: i32): void {
  const step = bytes(1, size);
  for (let row = 0; row < padded(count, size); row += 4) {
    const left = count - row, first = from + usize(row) * stride;
    let strip = to + bytes(row & -size, width) + (usize(row & (size - 1)) << 2);
    let c = 0;
    if (left >= 4) {
      for (; c + 4 <= width; c += 4, strip += step << 2) {
        const at = first + (usize(c) << 2);
        const r0 = v128.load(at), r1 = v128.load(at + stride);
        const r2 = v128.load(at + 2 * stride), r3 = v128.load(at + 3 * stride);
        const a = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5), b = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
        const d = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5), e = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
        v128.store(strip, v128.shuffle<f32>(a, d, 0, 1, 4, 5));
        v128.store(strip + step, v128.shuffle<f32>(a, d, 2, 3, 6, 7));
        v128.store(strip + 2 * step, v128.shuffle<f32>(b, e, 0, 1, 4, 5));
        v128.store(strip + 3 * step, v128.shuffle<f32>(b, e, 2, 3, 6, 7));
      }
    }
    for (; c < width; c++, strip += step) {
      const at = first + (usize(c) << 2);
      store<f32>(strip, left > 0 ? load<f32>(at) : 0);
      store<f32>(strip, left > 1 ? load<f32>(at + stride) : 0, 4);
      store<f32>(strip, left > 2 ? load<f32>(at + 2 * stride) : 0, 8);
      store<f32>(strip, left > 3 ? load<f32>(at + 3 * stride) : 0, 12);
    }
  }
}

/** [count, width], rows `stride` bytes apart → strips of `size` columns, each [count, size]. */
function packColumns(from: usize, stride: usize, to: usize, count: i32, width: i32, size: i32): void {
  const step = bytes(1, size);
  for (let column = 0; column < padded(width, size); column += 4) {
    const left = width - column;
    let at = from + (usize(column) << 2);
    let strip = to + bytes(column & -size, count) + (usize(column & (size - 1)) << 2);
    if (left >= 4) {
      for (let row = 0; row < count; row++, at += stride, strip += step) v128.store(strip, v128.load(at));
    } else {
      for (let row = 0; row < count; row++, at += stride, strip += step) {
        v128.store(strip, loadUpTo(at, left));
      }
    }
  }
}

/**
 * to [rows, columns] = A·B, plus `added` unless that is 0. Strides are of rows, in bytes; `edge` is room for a
 * tile.
 */
function multiply(
  strips: usize, panels: usize, depth: i32, added: usize, addedStride: usize, to: usize, stride: usize,
  rows: i32, columns: i32, edge: usize,
): void {
  for (let column = 0; column < columns; column += PANEL) {
    const panel = panels + bytes(column, depth), here = usize(column) << 2;
    for (let row = 0; row < rows; row += STRIP) {
      const strip = strips + bytes(row, depth);
      const more = added ? added + usize(row) * addedStride + here : 0;
      const target = to + usize(row) * stride + here;
      if (row + STRIP <= rows && column + PANEL <= columns) {
        multiplyTile(strip, panel, depth, more, addedStride, target, stride);
      } else {
        multiplyTile(strip, panel, depth, 0, 0, edge, 32);
        storeEdge(edge, more, addedStride, target, stride, min(STRIP, rows - row), columns - column);
      }
    }
  }
}

/** The sums start from 0 and are added at last: over many blocks this keeps more digits. */
function multiplyTile(
  a: usize, b: usize, depth: i32, added: usize, addedStride: usize, to: usize, stride: usize,
): void {
  let s00 = f32x4.splat(0), s01 = s00, s10 = s00, s11 = s00;
  let s20 = s00, s21 = s00, s30 = s00, s31 = s00;
  for (const end = a + bytes(STRIP, depth); a < end; a += 16, b += 32) {
    const b0 = v128.load(b), b1 = v128.load(b, 16);
    const a0 = v128.load32_splat(a);
    s00 = f32x4.add(s00, f32x4.mul(a0, b0));
    s01 = f32x4.add(s01, f32x4.mul(a0, b1));
    const a1 = v128.load32_splat(a, 4);
    s10 = f32x4.add(s10, f32x4.mul(a1, b0));
    s11 = f32x4.add(s11, f32x4.mul(a1, b1));
    const a2 = v128.load32_splat(a, 8);
    s20 = f32x4.add(s20, f32x4.mul(a2, b0));
    s21 = f32x4.add(s21, f32x4.mul(a2, b1));
    const a3 = v128.load32_splat(a, 12);
    s30 = f32x4.add(s30, f32x4.mul(a3, b0));
    s31 = f32x4.add(s31, f32x4.mul(a3, b1));
  }
  if (added) {
    s00 = f32x4.add(s00, v128.load(added));
    s01 = f32x4.add(s01, v128.load(added, 16));
    added += addedStride;
    s10 = f32x4.add(s10, v128.load(added));
    s11 = f32x4.add(s11, v128.load(added, 16));
    added += addedStride;
    s20 = f32x4.add(s20, v128.load(added));
    s21 = f32x4.add(s21, v128.load(added, 16));
    added += addedStride;
    s30 = f32x4.add(s30, v128.load(added));
    s31 = f32x4.add(s31, v128.load(added, 16));
  }
  v128.store(to, s00);
  v128.store(to, s01, 16);
  to += stride;
  v128.store(to, s10);
  v128.store(to, s11, 16);
  to += stride;
  v128.store(to, s20);
  v128.store(to, s21, 16);
  to += stride;
  v128.store(to, s30);
  v128.store(to, s31, 16);
}

/** Writes the part of a tile that lies within the product. */
function storeEdge(
  tile: usize, added: usize, addedStride: usize, to: usize, stride: usize, rows: i32, columns: i32,
): void {
  for (let row = 0; row < rows; row++, tile += 32, to += stride) {
    for (let c = 0; c < min(PANEL, columns); c += 4) {
      const at = usize(c) << 2;
      let x = v128.load(tile + at);
      if (added) x = f32x4.add(x, loadUpTo(added + at, columns - c));
      storeUpTo(to + at, x, columns - c);
    }
    if (added) added += addedStride;
  }
}

/** sums [width] += Σ over the rows of strips of columns. */
function addSums(strips: usize, sums: usize, count: i32, width: i32): void {
  for (let c = 0; c < width; c += STRIP, sums += 16) {
    let sum = f32x4.splat(0);
    for (let row = 0; row < count; row++, strips += 16) sum = f32x4.add(sum, v128.load(strips));
    storeUpTo(sums, f32x4.add(loadUpTo(sums, width - c), sum), width - c);
  }
}

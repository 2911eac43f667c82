// The working format of the scans. A state [dk, dv] is cut into tiles of 16 columns, which do not depend on
// each other; in a tile, each row is one cache line. Tokens are taken a segment at a time, copied next to
// each other and filled up with zeros to whole vectors: so the inner loops know no ragged ends, strides or
// heads.
import { exp, exp1, sumEach } from './math';
import { loadUpTo, storeUpTo, sumLanes } from './vectors';

/** Columns of a tile, and the bytes of one of its rows. */
export const TILE: i32 = 16;
export const ROW: usize = 64;

/** dk filled up to whole vectors. */
@inline
export function paddedWidth(dk: i32): i32 {
  return (dk + 3) & ~3;
}

@inline
export function tileCount(dv: i32): usize {
  return usize(dv + TILE - 1) / TILE;
}

/** a + x·y. */
@inline
export function mulAdd(a: v128, x: v128, y: v128): v128 {
  return f32x4.add(a, f32x4.mul(x, y));
}

/** The product of two tile rows, still spread over four lanes. */
@inline
export function dotRows(
  a0: v128, a1: v128, a2: v128, a3: v128, b0: v128, b1: v128, b2: v128, b3: v128,
): v128 {
  const front = f32x4.add(f32x4.mul(a0, b0), f32x4.mul(a1, b1));
  return f32x4.add(front, f32x4.add(f32x4.mul(a2, b2), f32x4.mul(a3, b3)));
}

/** *p += x. */
@inline
export function addTo(p: usize, x: v128): void {
  v128.store(p, f32x4.add(v128.load(p), x));
}

/** The lane sums of four vectors that lie ROW bytes apart: what dotRows left for four rows of a tile. */
@inline
export function sumRows(p: usize): v128 {
  return sumEach(v128.load(p), v128.load(p, 64), v128.load(p, 128), v128.load(p, 192));
}

/**
 * Copies `count` rows of `width` numbers, `stride` bytes apart, times `factor`, to rows of the padded
 * width.
 */
export function packRows(from: usize, stride: usize, to: usize, count: i32, width: i32, factor: f32): void {
  const factors = f32x4.splat(factor);
  const rowBytes = usize(paddedWidth(width)) << 2;
  for (let t = 0; t < count; t++, from += stride, to += rowBytes) {
    for (let c = 0; c < width; c += 4) {
      v128.store(to + (c << 2), f32x4.mul(factors, loadUpTo(from + (c << 2), width - c)));
    }
  }
}

/** The way back. */
export function unpackRows(from: usize, to: usize, stride: usize, count: i32, width: i32): void {
  const rowBytes = usize(paddedWidth(width)) << 2;
  for (let t = 0; t < count; t++, from += rowBytes, to += stride) {
    for (let c = 0; c < width; c += 4) storeUpTo(to + (c << 2), v128.load(from + (c << 2)), width - c);
  }
}

/** e^g for every token and channel; 1 without gates. `gates` is the number of them in a token. */
export function packDecay(from: usize, stride: usize, to: usize, count: i32, dk: i32, gates: i32): void {
  const rowBytes = usize(paddedWidth(dk)) << 2;
  for (let t = 0; t < count; t++, from += stride, to += rowBytes) {
    if (gates == dk && dk != 1) {
      for (let c = 0; c < dk; c += 4) v128.store(to + (c << 2), exp(loadUpTo(from + (c << 2), dk - c)));
    } else {
      const decay = f32x4.splat(gates == 0 ? 1 : exp1(load<f32>(from)));
      for (let c = 0; c < dk; c += 4) v128.store(to + (c << 2), decay);
    }
  }
}

/** Writes the gradient of the gates from that of every channel. */
export function unpackGates(from: usize, to: usize, stride: usize, count: i32, dk: i32, gates: i32): void {
  if (gates == 0) return;
  if (gates == dk) {
    unpackRows(from, to, stride, count, dk);
    return;
  }
  const rowBytes = usize(paddedWidth(dk)) << 2;
  for (let t = 0; t < count; t++, from += rowBytes, to += stride) {
    let sum = f32x4.splat(0);
    // Channels beyond dk hold 0: their states do.
    for (let c = 0; c < dk; c += 4) sum = f32x4.add(sum, v128.load(from + (c << 2)));
    store<f32>(to, sumLanes(sum));
  }
}

/** Copies up to 16 columns of `count` rows, times `factor`, to tile rows. */
export function packTile(from: usize, stride: usize, to: usize, count: i32, columns: i32, factor: f32): void {
  const factors = f32x4.splat(factor);
  for (let t = 0; t < count; t++, from += stride, to += ROW) {
    v128.store(to, f32x4.mul(factors, loadUpTo(from, columns)));
    v128.store(to, f32x4.mul(factors, loadUpTo(from + 16, columns - 4)), 16);
    v128.store(to, f32x4.mul(factors, loadUpTo(from + 32, columns - 8)), 32);
    v128.store(to, f32x4.mul(factors, loadUpTo(from + 48, columns - 12)), 48);
  }
}

/** The way back. */
export function unpackTile(from: usize, to: usize, stride: usize, count: i32, columns: i32): void {
  for (let t = 0; t < count; t++, from += ROW, to += stride) {
    storeUpTo(to, v128.load(from), columns);
    storeUpTo(to + 16, v128.load(from, 16), columns - 4);
    storeUpTo(to + 32, v128.load(from, 32), columns - 8);
    storeUpTo(to + 48, v128.load(from, 48), columns - 12);
  }
}

/** A state [dk, dv] to tiles, one after another; zeros where there is none. */
export function packState(from: usize, to: usize, dk: i32, dv: i32): void {
  const tileBytes = usize(paddedWidth(dk)) * ROW;
  memory.fill(to, 0, tileBytes * tileCount(dv));
  if (from == 0) return;
  for (let column = 0; column < dv; column += TILE, to += tileBytes) {
    packTile(from + (column << 2), usize(dv) << 2, to, dk, dv - column, 1);
  }
}

/** The way back. */
export function unpackState(from: usize, to: usize, dk: i32, dv: i32): void {
  const tileBytes = usize(paddedWidth(dk)) * ROW;
  for (let column = 0; column < dv; column += TILE, from += tileBytes) {
    unpackTile(from, to + (column << 2), usize(dv) << 2, dk, dv - column);
  }
}

/** to ← Diag(d) from + k vᵀ: the state of a tile after one token. `rowBytes` is the length of d and k. */
@inline
export function writeToken(from: usize, to: usize, rowBytes: usize, d: usize, k: usize, v: usize): void {
  const v0 = v128.load(v), v1 = v128.load(v, 16), v2 = v128.load(v, 32), v3 = v128.load(v, 48);
  for (let i: usize = 0; i < rowBytes; i += 4) {
    const s = from + (i << 4), r = to + (i << 4);
    const di = v128.load32_splat(d + i), ki = v128.load32_splat(k + i);
    v128.store(r, mulAdd(f32x4.mul(di, v128.load(s)), ki, v0));
    v128.store(r, mulAdd(f32x4.mul(di, v128.load(s, 16)), ki, v1), 16);
    v128.store(r, mulAdd(f32x4.mul(di, v128.load(s, 32)), ki, v2), 32);
    v128.store(r, mulAdd(f32x4.mul(di, v128.load(s, 48)), ki, v3), 48);
  }
}

/** to ← Diag(d) from + k vᵀ + b wᵀ. */
@inline
export function writeTwice(
  from: usize, to: usize, rowBytes: usize, d: usize, k: usize, v: usize, b: usize, w: usize,
): void {
  const v0 = v128.load(v), v1 = v128.load(v, 16), v2 = v128.load(v, 32), v3 = v128.load(v, 48);
  const w0 = v128.load(w), w1 = v128.load(w, 16), w2 = v128.load(w, 32), w3 = v128.load(w, 48);
  for (let i: usize = 0; i < rowBytes; i += 4) {
    const s = from + (i << 4), r = to + (i << 4);
    const di = v128.load32_splat(d + i), ki = v128.load32_splat(k + i), bi = v128.load32_splat(b + i);
    v128.store(r, mulAdd(mulAdd(f32x4.mul(di, v128.load(s)), ki, v0), bi, w0));
    v128.store(r, mulAdd(mulAdd(f32x4.mul(di, v128.load(s, 16)), ki, v1), bi, w1), 16);
    v128.store(r, mulAdd(mulAdd(f32x4.mul(di, v128.load(s, 32)), ki, v2), bi, w2), 32);
    v128.store(r, mulAdd(mulAdd(f32x4.mul(di, v128.load(s, 48)), ki, v3), bi, w3), 48);
  }
}

/** Carries a tile's state over `count` tokens, which write k vᵀ and, where there is a b, b wᵀ. */
function advance(
  state: usize, count: i32, rowBytes: usize, d: usize, k: usize, v: usize, b: usize, w: usize,
): void {
  const twice = b != 0;
  for (let t = 0; t < count; t++, d += rowBytes, k += rowBytes, v += ROW, b += rowBytes, w += ROW) {
    if (twice) writeTwice(state, state, rowBytes, d, k, v, b, w);
    else writeToken(state, state, rowBytes, d, k, v);
  }
}

/**
 * The states before each of `count` tokens, from the one before the first. Tokens write k vᵀ and, where there
 * is a b, b wᵀ.
 */
export function unroll(
  first: usize, states: usize, count: i32, rowBytes: usize, d: usize, k: usize, v: usize, b: usize = 0,
  w: usize = 0,
): void {
  const tileBytes = rowBytes << 4;
  const twice = b != 0;
  memory.copy(states, first, tileBytes);
  for (let t = 1; t < count; t++, states += tileBytes) {
    if (twice) writeTwice(states, states + tileBytes, rowBytes, d, k, v, b, w);
    else writeToken(states, states + tileBytes, rowBytes, d, k, v);
    d += rowBytes;
    k += rowBytes;
    v += ROW;
    b += rowBytes;
    w += ROW;
  }
}

/**
 * The states, all tiles of them, that enter each segment of a sequence, one after another from `entering` on.
 * k, values and gates point to the sequence's first token; the rows are room for one segment. b and the
 * values `written` with it are what tokens write besides, if anything.
 */
export function enterSegments(
  initialState: usize, entering: usize, length: i32, segment: i32, dk: i32, dv: i32, gates: i32,
  k: usize, keyStride: usize, values: usize, valueStride: usize, logDecay: usize, gateStride: usize,
  keyRows: usize, decayRows: usize, valueRows: usize,
  b: usize = 0, written: usize = 0, bRows: usize = 0, writtenRows: usize = 0,
): void {
  const rowBytes = usize(paddedWidth(dk)) << 2, tileBytes = rowBytes << 4;
  const allTiles = tileBytes * tileCount(dv);
  packState(initialState, entering, dk, dv);
  for (let first = 0; first + segment < length; first += segment) {
    const next = entering + allTiles;
    memory.copy(next, entering, allTiles);
    packRows(k + usize(first) * keyStride, keyStride, keyRows, segment, dk, 1);
    if (b) packRows(b + usize(first) * keyStride, keyStride, bRows, segment, dk, 1);
    packDecay(logDecay + usize(first) * gateStride, gateStride, decayRows, segment, dk, gates);
    for (let column = 0, tile = next; column < dv; column += TILE, tile += tileBytes) {
      const at = usize(first) * valueStride + (column << 2);
      packTile(values + at, valueStride, valueRows, segment, dv - column, 1);
      if (b) packTile(written + at, valueStride, writtenRows, segment, dv - column, 1);
      advance(tile, segment, rowBytes, decayRows, keyRows, valueRows, b ? bRows : 0, writtenRows);
    }
    entering = next;
  }
}

/** Whether every row belongs to a sequence. */
export function coversRows(lengths: usize, count: i32, rows: i32): bool {
  let covered = 0;
  for (let s = 0; s < count; s++) covered += load<i32>(lengths + (s << 2));
  return covered == rows;
}

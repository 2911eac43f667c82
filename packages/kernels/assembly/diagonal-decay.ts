// S ← Diag(e^g) S + k vᵀ token by token, forward and backward. See tiles.ts for the format.
import { sumLanes } from './vectors';
import {
  coversRows, mulAdd, packDecay, packRows, packState, packTile, paddedWidth, ROW, TILE, tileCount,
  unpackState, unpackTile,
} from './tiles';

/** Bytes of scratch memory that diagonalDecay needs. */
export function diagonalDecayScratch(dk: i32, dv: i32, segment: i32): usize {
  const rowBytes = usize(paddedWidth(dk)) << 2;
  return usize(segment) * (3 * rowBytes + 3 * ROW) + rowBytes + (rowBytes << 4) * tileCount(dv);
}

export function diagonalDecay(
  q: usize, k: usize, v: usize, logDecay: usize, bonus: usize, initialState: usize, starts: usize,
  lengths: usize,
  o: usize, state: usize, scratch: usize,
  rows: i32, count: i32, heads: i32, dk: i32, dv: i32, gates: i32, segment: i32, scale: f32,
): void {
  const rowBytes = usize(paddedWidth(dk)) << 2, tileBytes = rowBytes << 4;
  const keyStride = usize(heads * dk) << 2, valueStride = usize(heads * dv) << 2;
  const gateStride = usize(heads * gates) << 2;
  const queries = scratch, keys = queries + usize(segment) * rowBytes;
  const decays = keys + usize(segment) * rowBytes;
  const values = decays + usize(segment) * rowBytes, outputs = values + usize(segment) * ROW;
  const weights = outputs + usize(segment) * ROW;
  const bonuses = weights + usize(segment) * ROW, tiles = bonuses + rowBytes;
  const stateBytes = usize(dk * dv) << 2;

  if (!coversRows(lengths, count, rows)) memory.fill(o, 0, usize(rows) * valueStride);
  for (let s = 0; s < count; s++) {
    const start = load<i32>(starts + (s << 2)), length = load<i32>(lengths + (s << 2));
    for (let h = 0; h < heads; h++) {
      const at = stateBytes * (s * heads + h);
      packState(initialState ? initialState + at : 0, tiles, dk, dv);
      if (bonus) packRows(bonus + usize(h * dk << 2), 0, bonuses, 1, dk, 1);
      for (let first = 0; first < length; first += segment) {
        const tokens = min(segment, length - first);
        const row = usize(start + first);
        const key = row * keyStride + usize(h * dk << 2), value = row * valueStride + usize(h * dv << 2);
        packRows(q + key, keyStride, queries, tokens, dk, scale);
        packRows(k + key, keyStride, keys, tokens, dk, 1);
        packDecay(logDecay + row * gateStride + usize(h * gates << 2), gateStride, decays, tokens, dk, gates);
        if (bonus) bonusWeights(tokens, rowBytes, queries, keys, bonuses, weights);
        for (let column = 0, tile = tiles; column < dv; column += TILE, tile += tileBytes) {
          packTile(v + value + (column << 2), valueStride, values, tokens, dv - column, 1);
          if (bonus) readBefore(tokens, rowBytes, queries, keys, decays, weights, values, outputs, tile);
          else readAfter(tokens, rowBytes, queries, keys, decays, values, outputs, tile);
          unpackTile(outputs, o + value + (column << 2), valueStride, tokens, dv - column);
        }
      }
      unpackState(tiles, state + at, dk, dv);
    }
  }
}

/** Σ_c q u k of every token, in all lanes of a row's first vector. */
function bonusWeights(tokens: i32, rowBytes: usize, q: usize, k: usize, u: usize, weights: usize): void {
  for (let t = 0; t < tokens; t++, q += rowBytes, k += rowBytes, weights += ROW) {
    let sum = f32x4.splat(0);
    for (let i: usize = 0; i < rowBytes; i += 16) {
      sum = mulAdd(sum, f32x4.mul(v128.load(q + i), v128.load(u + i)), v128.load(k + i));
    }
    v128.store(weights, f32x4.splat(sumLanes(sum)));
  }
}

/** S ← Diag(d) S + k vᵀ ; o = Sᵀq. */
function readAfter(
  tokens: i32, rowBytes: usize, q: usize, k: usize, d: usize, v: usize, o: usize, state: usize,
): void {
  for (let t = 0; t < tokens; t++, q += rowBytes, k += rowBytes, d += rowBytes, v += ROW, o += ROW) {
    const v0 = v128.load(v), v1 = v128.load(v, 16), v2 = v128.load(v, 32), v3 = v128.load(v, 48);
    let o0 = f32x4.splat(0), o1 = o0, o2 = o0, o3 = o0;
    for (let i: usize = 0; i < rowBytes; i += 4) {
      const s = state + (i << 4);
      const qi = v128.load32_splat(q + i), ki = v128.load32_splat(k + i), di = v128.load32_splat(d + i);
      const s0 = mulAdd(f32x4.mul(di, v128.load(s)), ki, v0);
      const s1 = mulAdd(f32x4.mul(di, v128.load(s, 16)), ki, v1);
      const s2 = mulAdd(f32x4.mul(di, v128.load(s, 32)), ki, v2);
      const s3 = mulAdd(f32x4.mul(di, v128.load(s, 48)), ki, v3);
      v128.store(s, s0);
      v128.store(s, s1, 16);
      v128.store(s, s2, 32);
      v128.store(s, s3, 48);
      o0 = mulAdd(o0, qi, s0);
      o1 = mulAdd(o1, qi, s1);
      o2 = mulAdd(o2, qi, s2);
      o3 = mulAdd(o3, qi, s3);
    }
    v128.store(o, o0);
    v128.store(o, o1, 16);
    v128.store(o, o2, 32);
    v128.store(o, o3, 48);
  }
}

/** o = Sᵀq + (q·(u⊙k)) v ; S ← Diag(d) S + k vᵀ. */
function readBefore(
  tokens: i32, rowBytes: usize, q: usize, k: usize, d: usize, weights: usize, v: usize, o: usize,
  state: usize,
): void {
  for (let t = 0; t < tokens; t++) {
    const v0 = v128.load(v), v1 = v128.load(v, 16), v2 = v128.load(v, 32), v3 = v128.load(v, 48);
    const weight = v128.load(weights);
    let o0 = f32x4.mul(weight, v0), o1 = f32x4.mul(weight, v1);
    let o2 = f32x4.mul(weight, v2), o3 = f32x4.mul(weight, v3);
    for (let i: usize = 0; i < rowBytes; i += 4) {
      const s = state + (i << 4);
      const qi = v128.load32_splat(q + i), ki = v128.load32_splat(k + i), di = v128.load32_splat(d + i);
      const s0 = v128.load(s), s1 = v128.load(s, 16), s2 = v128.load(s, 32), s3 = v128.load(s, 48);
      o0 = mulAdd(o0, qi, s0);
      o1 = mulAdd(o1, qi, s1);
      o2 = mulAdd(o2, qi, s2);
      o3 = mulAdd(o3, qi, s3);
      v128.store(s, mulAdd(f32x4.mul(di, s0), ki, v0));
      v128.store(s, mulAdd(f32x4.mul(di, s1), ki, v1), 16);
      v128.store(s, mulAdd(f32x4.mul(di, s2), ki, v2), 32);
      v128.store(s, mulAdd(f32x4.mul(di, s3), ki, v3), 48);
    }
    v128.store(o, o0);
    v128.store(o, o1, 16);
    v128.store(o, o2, 32);
    v128.store(o, o3, 48);
    q += rowBytes;
    k += rowBytes;
    d += rowBytes;
    weights += ROW;
    v += ROW;
    o += ROW;
  }
}

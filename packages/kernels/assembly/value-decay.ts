// S ← S Diag(e^g) + k vᵀ token by token, forward and backward. See tiles.ts for the format: here a gate
// belongs to a column, so a token's decay is one tile row, the same for all rows of the tile.
import { exp } from './math';
import {
  coversRows, mulAdd, packRows, packState, packTile, paddedWidth, ROW, TILE, tileCount, unpackState,
  unpackTile,
} from './tiles';
import { loadUpTo } from './vectors';

/** Bytes of scratch memory that valueDecay needs. */
export function valueDecayScratch(dk: i32, dv: i32, segment: i32): usize {
  const rowBytes = usize(paddedWidth(dk)) << 2;
  return usize(segment) * (2 * rowBytes + 3 * ROW) + (rowBytes << 4) * tileCount(dv);
}

export function valueDecay(
  q: usize, k: usize, v: usize, logDecay: usize, initialState: usize, starts: usize, lengths: usize,
  o: usize, state: usize, scratch: usize,
  rows: i32, count: i32, heads: i32, dk: i32, dv: i32, segment: i32, scale: f32,
): void {
  const rowBytes = usize(paddedWidth(dk)) << 2, tileBytes = rowBytes << 4;
  const keyStride = usize(heads * dk) << 2, valueStride = usize(heads * dv) << 2;
  const queries = scratch, keys = queries + usize(segment) * rowBytes;
  const values = keys + usize(segment) * rowBytes, decays = values + usize(segment) * ROW;
  const outputs = decays + usize(segment) * ROW, tiles = outputs + usize(segment) * ROW;
  const stateBytes = usize(dk * dv) << 2;

  if (!coversRows(lengths, count, rows)) memory.fill(o, 0, usize(rows) * valueStride);
  for (let s = 0; s < count; s++) {
    const start = load<i32>(starts + (s << 2)), length = load<i32>(lengths + (s << 2));
    for (let h = 0; h < heads; h++) {
      const at = stateBytes * (s * heads + h);
      packState(initialState ? initialState + at : 0, tiles, dk, dv);
      for (let first = 0; first < length; first += segment) {
        const tokens = min(segment, length - first);
        const row = usize(start + first);
        const key = row * keyStride + usize(h * dk << 2), value = row * valueStride + usize(h * dv << 2);
        packRows(q + key, keyStride, queries, tokens, dk, scale);
        packRows(k + key, keyStride, keys, tokens, dk, 1);
        for (let column = 0, tile = tiles; column < dv; column += TILE, tile += tileBytes) {
          const here = value + (column << 2), left = dv - column;
          packTile(v + here, valueStride, values, tokens, left, 1);
          packTileDecay(logDecay + here, valueStride, decays, tokens, left);
          writeAndRead(tokens, rowBytes, queries, keys, decays, values, outputs, tile);
          unpackTile(outputs, o + here, valueStride, tokens, left);
        }
      }
      unpackState(tiles, state + at, dk, dv);
    }
  }
}

/** e^g of up to 16 columns of `count` rows, to tile rows; 1 in the columns beyond. */
export function packTileDecay(from: usize, stride: usize, to: usize, count: i32, columns: i32): void {
  for (let t = 0; t < count; t++, from += stride, to += ROW) {
    for (let c = 0; c < TILE; c += 4) v128.store(to + (c << 2), exp(loadUpTo(from + (c << 2), columns - c)));
  }
}

/**
 * S ← S Diag(d) + k vᵀ ; o = Sᵀq. Vector after vector, and d from memory: with all of d and S in them the 16
 * registers of x64 run out, which takes a fourth more time.
 */
function writeAndRead(
  tokens: i32, rowBytes: usize, q: usize, k: usize, d: usize, v: usize, o: usize, state: usize,
): void {
  for (let t = 0; t < tokens; t++, q += rowBytes, k += rowBytes, d += ROW, v += ROW, o += ROW) {
    const v0 = v128.load(v), v1 = v128.load(v, 16), v2 = v128.load(v, 32), v3 = v128.load(v, 48);
    let o0 = f32x4.splat(0), o1 = o0, o2 = o0, o3 = o0;
    for (let i: usize = 0; i < rowBytes; i += 4) {
      const s = state + (i << 4);
      const qi = v128.load32_splat(q + i), ki = v128.load32_splat(k + i);
      const s0 = mulAdd(f32x4.mul(v128.load(d), v128.load(s)), ki, v0);
      v128.store(s, s0);
      o0 = mulAdd(o0, qi, s0);
      const s1 = mulAdd(f32x4.mul(v128.load(d, 16), v128.load(s, 16)), ki, v1);
      v128.store(s, s1, 16);
      o1 = mulAdd(o1, qi, s1);
      const s2 = mulAdd(f32x4.mul(v128.load(d, 32), v128.load(s, 32)), ki, v2);
      v128.store(s, s2, 32);
      o2 = mulAdd(o2, qi, s2);
      const s3 = mulAdd(f32x4.mul(v128.load(d, 48), v128.load(s, 48)), ki, v3);
      v128.store(s, s3, 48);
      o3 = mulAdd(o3, qi, s3);
    }
    v128.store(o, o0);
    v128.store(o, o1, 16);
    v128.store(o, o2, 32);
    v128.store(o, o3, 48);
  }
}

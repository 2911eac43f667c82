// v̂ = Sᵀa ; S ← Diag(e^g) S + k vᵀ + b v̂ᵀ ; o = Sᵀq token by token. See tiles.ts for the format.
import {
  coversRows, mulAdd, packDecay, packRows, packState, packTile, paddedWidth, ROW, TILE, tileCount,
  unpackState, unpackTile, writeTwice,
} from './tiles';
import { sumLanes } from './vectors';

/** Bytes of scratch memory that diagonalPlusLowRank needs. */
export function diagonalPlusLowRankScratch(dk: i32, dv: i32, segment: i32): usize {
  const rowBytes = usize(paddedWidth(dk)) << 2;
  return usize(segment) * (5 * rowBytes + 3 * ROW + 8) + (rowBytes << 4) * tileCount(dv);
}

/** `recalled` receives v̂. */
export function diagonalPlusLowRank(
  q: usize, k: usize, v: usize, a: usize, b: usize, logDecay: usize, initialState: usize,
  starts: usize, lengths: usize,
  o: usize, state: usize, recalled: usize, scratch: usize,
  rows: i32, count: i32, heads: i32, dk: i32, dv: i32, gates: i32, segment: i32, scale: f32,
): void {
  const rowBytes = usize(paddedWidth(dk)) << 2, tileBytes = rowBytes << 4;
  const segmentRows = usize(segment) * rowBytes, segmentTile = usize(segment) * ROW;
  const keyStride = usize(heads * dk) << 2, valueStride = usize(heads * dv) << 2;
  const gateStride = usize(heads * gates) << 2;
  const queries = scratch, keys = queries + segmentRows, decays = keys + segmentRows;
  const aRows = decays + segmentRows, bRows = aRows + segmentRows;
  const values = bRows + segmentRows, recalls = values + segmentTile, outputs = recalls + segmentTile;
  const tiles = outputs + segmentTile, scores = tiles + tileBytes * tileCount(dv);
  const stateBytes = usize(dk * dv) << 2;

  if (!coversRows(lengths, count, rows)) {
    memory.fill(o, 0, usize(rows) * valueStride);
    memory.fill(recalled, 0, usize(rows) * valueStride);
  }
  for (let s = 0; s < count; s++) {
    const start = load<i32>(starts + (s << 2)), length = load<i32>(lengths + (s << 2));
    for (let h = 0; h < heads; h++) {
      const at = stateBytes * (s * heads + h);
      packState(initialState ? initialState + at : 0, tiles, dk, dv);
      for (let first = 0; first < length; first += segment) {
        const tokens = min(segment, length - first), row = usize(start + first);
        const key = row * keyStride + usize(h * dk << 2), value = row * valueStride + usize(h * dv << 2);
        packRows(q + key, keyStride, queries, tokens, dk, scale);
        packRows(k + key, keyStride, keys, tokens, dk, 1);
        packRows(a + key, keyStride, aRows, tokens, dk, 1);
        packRows(b + key, keyStride, bRows, tokens, dk, 1);
        packDecay(logDecay + row * gateStride + usize(h * gates << 2), gateStride, decays, tokens, dk, gates);
        scoreOwnWrites(tokens, rowBytes, queries, keys, bRows, decays, scores);
        for (let column = 0, tile = tiles; column < dv; column += TILE, tile += tileBytes) {
          const here = value + (column << 2), left = dv - column;
          packTile(v + here, valueStride, values, tokens, left, 1);
          update(
            tokens, rowBytes, queries, keys, aRows, bRows, decays, scores, values, recalls, outputs, tile,
          );
          unpackTile(recalls, recalled + here, valueStride, tokens, left);
          unpackTile(outputs, o + here, valueStride, tokens, left);
        }
      }
      unpackState(tiles, state + at, dk, dv);
    }
  }
}

/** q·k and q·b of every token; then q ← q ⊙ d, which is how a query sees the state before its token. */
function scoreOwnWrites(
  tokens: i32, rowBytes: usize, q: usize, k: usize, b: usize, d: usize, scores: usize,
): void {
  for (let t = 0; t < tokens; t++, q += rowBytes, k += rowBytes, b += rowBytes, d += rowBytes, scores += 8) {
    let withKey = f32x4.splat(0), withB = withKey;
    for (let i: usize = 0; i < rowBytes; i += 16) {
      const query = v128.load(q + i);
      withKey = mulAdd(withKey, query, v128.load(k + i));
      withB = mulAdd(withB, query, v128.load(b + i));
      v128.store(q + i, f32x4.mul(query, v128.load(d + i)));
    }
    store<f32>(scores, sumLanes(withKey));
    store<f32>(scores, sumLanes(withB), 4);
  }
}

/**
 * v̂ = Sᵀa ; S ← Diag(d) S + k vᵀ + b v̂ᵀ ; o = Sᵀq. The query reads q⊙d from the state before, and its token's
 * own writes by their scores: so both reads share one pass.
 */
function update(
  tokens: i32, rowBytes: usize, q: usize, k: usize, a: usize, b: usize, d: usize, scores: usize,
  v: usize, recalled: usize, o: usize, state: usize,
): void {
  for (let t = 0; t < tokens; t++) {
    const row = usize(t) * rowBytes, column = usize(t) * ROW;
    let w0 = f32x4.splat(0), w1 = w0, w2 = w0, w3 = w0;
    let o0 = w0, o1 = w0, o2 = w0, o3 = w0;
    for (let i: usize = 0; i < rowBytes; i += 4) {
      const s = state + (i << 4);
      const ai = v128.load32_splat(a + row + i), qi = v128.load32_splat(q + row + i);
      const s0 = v128.load(s), s1 = v128.load(s, 16), s2 = v128.load(s, 32), s3 = v128.load(s, 48);
      w0 = mulAdd(w0, ai, s0);
      w1 = mulAdd(w1, ai, s1);
      w2 = mulAdd(w2, ai, s2);
      w3 = mulAdd(w3, ai, s3);
      o0 = mulAdd(o0, qi, s0);
      o1 = mulAdd(o1, qi, s1);
      o2 = mulAdd(o2, qi, s2);
      o3 = mulAdd(o3, qi, s3);
    }
    v128.store(recalled + column, w0);
    v128.store(recalled + column, w1, 16);
    v128.store(recalled + column, w2, 32);
    v128.store(recalled + column, w3, 48);
    const withKey = v128.load32_splat(scores + (t << 3)), withB = v128.load32_splat(scores + (t << 3), 4);
    const values = v + column, outputs = o + column;
    v128.store(outputs, mulAdd(mulAdd(o0, withKey, v128.load(values)), withB, w0));
    v128.store(outputs, mulAdd(mulAdd(o1, withKey, v128.load(values, 16)), withB, w1), 16);
    v128.store(outputs, mulAdd(mulAdd(o2, withKey, v128.load(values, 32)), withB, w2), 32);
    v128.store(outputs, mulAdd(mulAdd(o3, withKey, v128.load(values, 48)), withB, w3), 48);
    writeTwice(state, state, rowBytes, d + row, k + row, values, b + row, recalled + column);
  }
}

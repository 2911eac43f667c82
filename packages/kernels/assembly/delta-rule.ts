// S ← D S ; v̂ = β (v − Sᵀe) ; S ← S + k v̂ᵀ ; o = Sᵀq token by token. See tiles.ts for the format.
import {
  coversRows, mulAdd, packDecay, packRows, packState, packTile, paddedWidth, ROW, TILE, tileCount,
  unpackState, unpackTile,
} from './tiles';

/** Bytes of scratch memory that deltaRule needs. */
export function deltaRuleScratch(dk: i32, dv: i32, segment: i32): usize {
  const rowBytes = usize(paddedWidth(dk)) << 2;
  return usize(segment) * (4 * rowBytes + 3 * ROW + 4) + (rowBytes << 4) * tileCount(dv);
}

/** `erase` is the erase key without β, or 0 for k; `corrected` receives v̂. */
export function deltaRule(
  q: usize, k: usize, v: usize, beta: usize, erase: usize, logDecay: usize, initialState: usize,
  starts: usize, lengths: usize,
  o: usize, state: usize, corrected: usize, scratch: usize,
  rows: i32, count: i32, heads: i32, dk: i32, dv: i32, gates: i32, segment: i32, scale: f32,
  eraseBeforeDecay: bool,
): void {
  const rowBytes = usize(paddedWidth(dk)) << 2, tileBytes = rowBytes << 4;
  const segmentRows = usize(segment) * rowBytes;
  const keyStride = usize(heads * dk) << 2, valueStride = usize(heads * dv) << 2;
  const gateStride = usize(heads * gates) << 2, betaStride = usize(heads) << 2;
  const queries = scratch, keys = queries + segmentRows, decays = keys + segmentRows;
  const erases = decays + segmentRows;
  const values = erases + segmentRows, writes = values + usize(segment) * ROW;
  const outputs = writes + usize(segment) * ROW;
  const tiles = outputs + usize(segment) * ROW, betas = tiles + tileBytes * tileCount(dv);
  const stateBytes = usize(dk * dv) << 2;

  if (!coversRows(lengths, count, rows)) {
    memory.fill(o, 0, usize(rows) * valueStride);
    memory.fill(corrected, 0, usize(rows) * valueStride);
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
        packRows((erase ? erase : k) + key, keyStride, erases, tokens, dk, 1);
        packDecay(logDecay + row * gateStride + usize(h * gates << 2), gateStride, decays, tokens, dk, gates);
        packBeta(beta ? beta + row * betaStride + usize(h << 2) : 0, betaStride, betas, tokens);
        if (gates != 0 && !eraseBeforeDecay) multiply(erases, decays, usize(tokens) * rowBytes);
        for (let column = 0, tile = tiles; column < dv; column += TILE, tile += tileBytes) {
          const here = value + (column << 2), left = dv - column;
          packTile(v + here, valueStride, values, tokens, left, 1);
          correct(tokens, rowBytes, queries, keys, erases, decays, betas, values, writes, outputs, tile);
          unpackTile(writes, corrected + here, valueStride, tokens, left);
          unpackTile(outputs, o + here, valueStride, tokens, left);
        }
      }
      unpackState(tiles, state + at, dk, dv);
    }
  }
}

/** β of each token; 1 where there is none. */
export function packBeta(from: usize, stride: usize, to: usize, count: i32): void {
  for (let t = 0; t < count; t++, to += 4) store<f32>(to, from ? load<f32>(from + usize(t) * stride) : 1);
}

/** x ← x ⊙ y over whole vectors. */
function multiply(x: usize, y: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 16) v128.store(x + i, f32x4.mul(v128.load(x + i), v128.load(y + i)));
}

/** v̂ = β (v − Sᵀe) ; S ← Diag(d) S + k v̂ᵀ ; o = Sᵀq. Here e sees the state before the decay. */
function correct(
  tokens: i32, rowBytes: usize, q: usize, k: usize, e: usize, d: usize, beta: usize, v: usize, write: usize,
  o: usize,
  state: usize,
): void {
  for (let t = 0; t < tokens; t++) {
    const row = usize(t) * rowBytes, column = usize(t) * ROW;
    let w0 = v128.load(v + column), w1 = v128.load(v + column, 16);
    let w2 = v128.load(v + column, 32), w3 = v128.load(v + column, 48);
    for (let i: usize = 0; i < rowBytes; i += 4) {
      const s = state + (i << 4), ei = v128.load32_splat(e + row + i);
      w0 = f32x4.sub(w0, f32x4.mul(ei, v128.load(s)));
      w1 = f32x4.sub(w1, f32x4.mul(ei, v128.load(s, 16)));
      w2 = f32x4.sub(w2, f32x4.mul(ei, v128.load(s, 32)));
      w3 = f32x4.sub(w3, f32x4.mul(ei, v128.load(s, 48)));
    }
    const strength = v128.load32_splat(beta + (t << 2));
    w0 = f32x4.mul(strength, w0);
    w1 = f32x4.mul(strength, w1);
    w2 = f32x4.mul(strength, w2);
    w3 = f32x4.mul(strength, w3);
    v128.store(write + column, w0);
    v128.store(write + column, w1, 16);
    v128.store(write + column, w2, 32);
    v128.store(write + column, w3, 48);
    let o0 = f32x4.splat(0), o1 = o0, o2 = o0, o3 = o0;
    for (let i: usize = 0; i < rowBytes; i += 4) {
      const s = state + (i << 4);
      const qi = v128.load32_splat(q + row + i), ki = v128.load32_splat(k + row + i);
      const di = v128.load32_splat(d + row + i);
      const s0 = mulAdd(f32x4.mul(di, v128.load(s)), ki, w0);
      const s1 = mulAdd(f32x4.mul(di, v128.load(s, 16)), ki, w1);
      const s2 = mulAdd(f32x4.mul(di, v128.load(s, 32)), ki, w2);
      const s3 = mulAdd(f32x4.mul(di, v128.load(s, 48)), ki, w3);
      v128.store(s, s0);
      v128.store(s, s1, 16);
      v128.store(s, s2, 32);
      v128.store(s, s3, 48);
      o0 = mulAdd(o0, qi, s0);
      o1 = mulAdd(o1, qi, s1);
      o2 = mulAdd(o2, qi, s2);
      o3 = mulAdd(o3, qi, s3);
    }
    v128.store(o + column, o0);
    v128.store(o + column, o1, 16);
    v128.store(o + column, o2, 32);
    v128.store(o + column, o3, 48);
  }
}

// Threefry-2x32 with 20 rounds: a counter-based random generator (Salmon et al. 2011, "Parallel random numbers: as
// easy as 1, 2, 3").
const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;

/** The block of random bits at counter (c0, c1) of key (k0, k1): two unsigned 32-bit words. */
export function threefry(k0: number, k1: number, c0: number, c1: number): [number, number] {
  const keys = [k0, k1, (k0 ^ k1 ^ 0x1bd11bda) | 0] as const;
  let x0 = (c0 + k0) | 0;
  let x1 = (c1 + k1) | 0;
  for (let round = 0; round < 20; round++) {
    const r = ROTATIONS[round % 8] as number;
    x0 = (x0 + x1) | 0;
    x1 = ((x1 << r) | (x1 >>> (32 - r))) ^ x0;
    if (round % 4 === 3) {
      const injection = (round + 1) / 4;
      x0 = (x0 + (keys[injection % 3] as number)) | 0;
      x1 = (x1 + (keys[(injection + 1) % 3] as number) + injection) | 0;
    }
  }
  return [x0 >>> 0, x1 >>> 0];
}

// What is scaled: the sums of two tensors' rows, which are left for others.
@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read> added: array<Pack>;
@group(0) @binding(2) var<storage, read> weight: array<Pack>;
@group(0) @binding(3) var<storage, read_write> sum: array<Pack>;
@group(0) @binding(4) var<storage, read_write> y: array<Pack>;
@group(0) @binding(5) var<uniform> sizes: Uniforms;

fn valueAt(at: u32) -> Pack {
  return x[at] + added[at];
}

fn leave(at: u32, value: Pack) {
  sum[at] = value;
}

fn put(at: u32, value: Pack) {
  y[at] = value;
}

// Of y = silu(gate) ⊙ up: d gate = dy ⊙ up ⊙ silu′(gate), d up = dy ⊙ silu(gate), silu′(z) = σ(z)(1 + z(1 − σ(z))).
struct Uniforms {
  count: u32, // of packs
}

@group(0) @binding(0) var<storage, read> gate: array<Pack>;
@group(0) @binding(1) var<storage, read> up: array<Pack>;
@group(0) @binding(2) var<storage, read> dy: array<Pack>;
@group(0) @binding(3) var<storage, read_write> dGate: array<Pack>;
@group(0) @binding(4) var<storage, read_write> dUp: array<Pack>;
@group(0) @binding(5) var<uniform> sizes: Uniforms;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  for (var i = id.x; i < sizes.count; i += groups.x * 256) {
    let z = gate[i];
    let slope = dy[i];
    let open = sigmoid(z);
    dGate[i] = slope * up[i] * open * (1 + z * (1 - open));
    dUp[i] = slope * z * open;
  }
}

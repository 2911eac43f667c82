// dx is the norm's alone.
@group(0) @binding(0) var<storage, read> x: array<Pack>;
@group(0) @binding(1) var<storage, read> weight: array<Pack>; // looked at only if there is one
@group(0) @binding(2) var<storage, read> dy: array<Pack>;
@group(0) @binding(3) var<storage, read_write> dx: array<Pack>;
@group(0) @binding(4) var<storage, read_write> partialDWeight: array<Pack>;
@group(0) @binding(5) var<uniform> sizes: Uniforms;

fn put(at: u32, value: Pack) {
  dx[at] = value;
}

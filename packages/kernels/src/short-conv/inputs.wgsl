// The inputs that the taps of a row read, and their weighted sum.
fn initialAt(sequence: u32, column: u32, entry: u32) -> vec4f {
  return initialStateAt((sequence * channels + column) * width + entry);
}

fn inputAt(row: u32, place: Place, column: u32, tap: u32) -> vec4f {
  if (tap >= width) {
    return vec4f();
  }
  let distance = width - 1 - tap;
  if (place.position >= distance) {
    return xAt(row - distance, column);
  }
  return initialAt(u32(place.sequence), column, width + place.position - distance);
}

fn inputsAt(row: u32, place: Place, column: u32, first: u32) -> mat4x4f {
  return mat4x4f(
    inputAt(row, place, column, first),
    inputAt(row, place, column, first + 1),
    inputAt(row, place, column, first + 2),
    inputAt(row, place, column, first + 3),
  );
}

fn weighted(taps: mat4x4f, inputs: mat4x4f) -> vec4f {
  return taps[0] * inputs[0] + taps[1] * inputs[1] + taps[2] * inputs[2] + taps[3] * inputs[3];
}

/** σ(z); only e^{≤0} is evaluated. */
fn sigmoid(z: vec4f) -> vec4f {
  let power = exp(-abs(z));
  return select(power, vec4f(1), z >= vec4f()) / (1 + power);
}

fn isSilu() -> bool {
  return ((silu >> part) & 1) == 1;
}

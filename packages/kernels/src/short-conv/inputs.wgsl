// The inputs that the taps of a row read, and their weighted sum.
fn initialAt(sequence: u32, column: u32, entry: u32) -> vec4f {
  let at = (sequence * sizes.channels + column) * width + entry;
  return vec4f(
    initialState[at],
    initialState[at + width],
    initialState[at + 2 * width],
    initialState[at + 3 * width],
  );
}

fn inputAt(row: u32, place: Place, column: u32, tap: u32) -> vec4f {
  if (tap >= width) {
    return vec4f();
  }
  let distance = width - 1 - tap;
  if (place.position >= distance) {
    return xAt(row - distance, column);
  }
  if (hasInitialState) {
    return initialAt(u32(place.sequence), column, width + place.position - distance);
  }
  return vec4f();
}

fn inputsAt(row: u32, place: Place, column: u32, first: u32) -> mat4x4f {
  return mat4x4f(
    inputAt(row, place, column, first),
    inputAt(row, place, column, first + 1),
    inputAt(row, place, column, first + 2),
    inputAt(row, place, column, first + 3),
  );
}

fn biasAt(column: u32) -> vec4f {
  if (hasBias) {
    return vec4f(bias[column], bias[column + 1], bias[column + 2], bias[column + 3]);
  }
  return vec4f();
}

fn weighted(taps: mat4x4f, inputs: mat4x4f) -> vec4f {
  return taps[0] * inputs[0] + taps[1] * inputs[1] + taps[2] * inputs[2] + taps[3] * inputs[3];
}

/** σ(z); only e^{≤0} is evaluated. */
fn sigmoid(z: vec4f) -> vec4f {
  let power = exp(-abs(z));
  return select(power, vec4f(1), z >= vec4f()) / (1 + power);
}

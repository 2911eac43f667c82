/** Only e^{≤0} is evaluated. */
fn sigmoid(z: Pack) -> Pack {
  let power = exp(-abs(z));
  return select(power, Pack(1), z >= Pack()) / (1 + power);
}

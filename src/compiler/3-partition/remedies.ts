/** What would bring a node to the device whose operator's record declined it: that follows from the reason's words. */
const remedies: readonly (readonly [RegExp, string])[] = [
  [/strings/, "none: strings stay on the host"],
  [
    /depends on data|is not known|of known number/,
    "make the value a constant of the model, or export it with static shapes",
  ],
  [/at random/, "export the model for inference"],
  [/more than \d+ dimensions/, "reshape to fewer dimensions around it"],
  [/more than|too many|too long/, "make it smaller, or split it in the model"],
  [
    /no lowering|not lowered/,
    "none in the model: its operator needs a lowering (docs/how-to-add-an-operator.md)",
  ],
];

/** Undefined where it is not known. */
export function remedyFor(reason: string): string | undefined {
  return remedies.find(([pattern]) => pattern.test(reason))?.[1];
}

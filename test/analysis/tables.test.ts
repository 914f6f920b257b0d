import { describe, expect, it } from "vitest";
import {
  bytesText,
  colourStyle,
  percentText,
  plainStyle,
  scaledText,
  secondsText,
  tableText,
} from "../../src/analysis/tables.js";

describe("tables", () => {
  const head = ["name", "n", "size"];
  const rows = [
    ["a", 1, "12 KiB"],
    ["longer", 23_456, "1.5 MiB"],
  ] as const;

  it("align numbers, with units too, to the right", () => {
    expect(tableText(head, rows, { style: plainStyle, widthMax: 20 })).toBe(
      ["name         n     size", "a            1   12 KiB", "longer  23,456  1.5 MiB"].join("\n"),
    );
  });

  it("cut what is too long and show the head bold", () => {
    const text = tableText(head, rows, { style: colourStyle, widthMax: 4 });
    expect(text).toContain("lon…");
    expect(text.startsWith("\x1b[1mname")).toBe(true);
  });

  it("stay readable without rows", () => {
    expect(tableText(head, [], { style: plainStyle, widthMax: 20 })).toBe("name  n  size");
  });
});

describe("numbers for people", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1 KiB"],
    [1536, "1.50 KiB"],
    [10 * 2 ** 30, "10 GiB"],
  ])("%i bytes are %s", (bytes, text) => expect(bytesText(bytes)).toBe(text));

  it.each([
    [0, "0 s"],
    [2.5e-10, "250 ps"],
    [1.234e-6, "1.23 µs"],
    [0.0999, "99.9 ms"],
    [12, "12 s"],
    [1234.5, "1235 s"],
  ])("%d seconds are %s", (seconds, text) => expect(secondsText(seconds)).toBe(text));

  it("have prefixes and percent signs", () => {
    expect(scaledText(2.15e12, "")).toBe("2.15 T");
    expect(scaledText(0.0042, "J")).toBe("4.20 mJ");
    expect(percentText(0.1234)).toBe("12.3 %");
  });
});

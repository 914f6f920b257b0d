/** Colours for people at a terminal; programs, pipes and continuous integration get plain text. */
import picocolors from "picocolors";

const isTerminal = process.stdout.isTTY === true && process.stderr.isTTY === true;

export const pc = picocolors.createColors(isTerminal && picocolors.isColorSupported);

#!/usr/bin/env node
/** The executable `lightloom`. */
import { runCommandLine } from "./command-line.js";

/** Whoever reads our output may stop early: `lightloom ops | head`. */
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  throw error;
});

process.exitCode = await runCommandLine(process.argv.slice(2));

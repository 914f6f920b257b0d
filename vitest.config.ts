import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    testTimeout: 120_000,
    setupFiles: ["test/support/seed.ts"],
    projects: [
      {
        extends: true,
        test: { name: "unit", include: ["test/**/*.test.ts"], exclude: ["test/shared/**"] },
      },
      {
        extends: true,
        test: { name: "shared", include: ["test/shared/**/*.test.ts"], testTimeout: 900_000 },
      },
    ],
  },
});

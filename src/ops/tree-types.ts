/** Decision trees as `trees.ts` reads them from a node. */
import type { DType } from "../numerics/dtype.js";

export type Tree = Leaf | Branch;

export interface Leaf {
  readonly kind: "leaf";
  readonly weights: readonly Weight[];
}

export interface Branch {
  readonly kind: "branch";
  readonly feature: number;
  readonly mode: string;
  readonly split: number;
  /** Of BRANCH_MEMBER. */
  readonly members: ReadonlySet<number>;
  /** A missing value (NaN) takes the true branch. */
  readonly missing: boolean;
  readonly yes: Tree;
  readonly no: Tree;
}

export interface Weight {
  readonly target: number;
  readonly weight: number;
}

export interface Ensemble {
  readonly trees: readonly Tree[];
  readonly targets: number;
  readonly aggregate: string;
  readonly transform: string;
  readonly base: readonly number[];
  readonly dtype: DType;
}

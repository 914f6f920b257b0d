/** The transcendental functions of lane programs, each a function of the module that calls it, made when first asked for. */
import type { FunctionName } from "../../numerics/lane.js";
import { laneOps } from "../../numerics/lane.js";
import { functions } from "../../numerics/functions.js";
import type { Callee } from "./function.js";
import { laneAlgebra, type LaneValue } from "./lane-code.js";
import type { ModuleBuilder } from "./module.js";

export interface LaneFunctions {
  callee(name: FunctionName): Callee;
}

export function laneFunctionsOf(module: ModuleBuilder): LaneFunctions {
  const made = new Map<FunctionName, Callee>();
  return {
    callee(name) {
      let callee = made.get(name);
      if (callee === undefined) {
        callee = addFunction(module, name);
        made.set(name, callee);
      }
      return callee;
    },
  };
}

function addFunction(module: ModuleBuilder, name: FunctionName): Callee {
  const params = laneOps[name].args.map(() => "v128" as const);
  return module.add({ params, results: ["v128"] }, (f) => {
    const args: LaneValue[] = params.map((type, i) => ({ local: f.param(type, i) }));
    const result = functions[name](laneAlgebra(f), ...args);
    f.get(result.local);
  });
}

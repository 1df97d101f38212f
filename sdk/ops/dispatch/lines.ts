/**
 * Operators along lines of a tensor (norms, softmax, reductions), in two families from one text.
 *
 * The operator's WGSL says what a walk over some steps of a line gives (`walk`), how two such states become one
 * (`merge`), and what is written (`finish`); `line_each.wgsl` has one invocation walk the whole line, `line_group.wgsl`
 * has the lanes of a workgroup share it.
 */
import { dispatch, type DispatchBindings, type Shader, shader, workgroups } from "../../gpu/mod.ts";
import type { Tensor } from "../../tensor/mod.ts";
import { groupOf, lanesOf } from "./adapter.ts";
import type { AroundDim } from "./around.ts";
import { vectorize } from "./vector.ts";
import eachCode from "../wgsl/line_each.wgsl" with { type: "text" };
import groupCode from "../wgsl/line_group.wgsl" with { type: "text" };

/** Both families of one operator. */
export interface LineShaders {
  /** A line per invocation. */
  readonly each: Shader;
  /** A line per workgroup. */
  readonly group: Shader;
  /** The WGSL type of what a walk gives. */
  readonly state: string;
}

/** The families of the operator whose text is `code`. */
export function lineShaders(name: string, code: string, state: string): LineShaders {
  return {
    each: shader({ name: `${name}.wgsl`, code: code + eachCode }),
    group: shader({ name: `${name}.wgsl (a line per workgroup)`, code: code + groupCode }),
    state,
  };
}

/** What {@linkcode dispatchLines} is told besides the shaders. */
export interface LineDispatch {
  /** The tensor whose lines are walked; it is bound as `x`. */
  readonly x: Tensor;
  /** The lines. */
  readonly around: AroundDim;
  /** The other bindings, without `params`. */
  readonly bindings: DispatchBindings;
  /** The parameters that the text declares behind `lines`, `steps` and `inner`. */
  readonly params: (width: number) => Readonly<Record<string, number>>;
  /** Whether elements are loaded one by one; otherwise by four where the count allows. */
  readonly scalar?: boolean;
  /** Rounds of loops for each load of a line; 3 is the most that norms have. */
  readonly rounds?: number;
  /** Overrides. */
  readonly constants?: Readonly<Record<string, number>>;
}

/** Runs one of the two, as `choose.ts` says. */
export function dispatchLines(shaders: LineShaders, d: LineDispatch): void {
  const { outer, count, inner } = d.around;
  const lines = outer * inner;
  const { width, types } = vectorize(d.x.dtype, inner === 1 && !d.scalar ? count : 1);
  const steps = count / width;
  const lanes = lanesOf(lines, steps, inner, d.rounds ?? 3);
  const bindings = { x: d.x, ...d.bindings, params: { lines, steps, inner, ...d.params(width) } };
  const all = { ...types, S: shaders.state };
  if (lanes === 1) {
    const size = groupOf(lines);
    dispatch(shaders.each, bindings, {
      workgroups: workgroups(lines, size),
      types: all,
      constants: { ...d.constants, SIDE_BY_SIDE: size },
    });
    return;
  }
  dispatch(shaders.group, bindings, {
    workgroups: workgroups(lines, 1),
    types: { ...all, Lanes: `array<S, ${lanes}>` },
    constants: { ...d.constants, GROUP: lanes },
  });
}

/** Which module made a model's numbers NaN or infinite first. */
import { type Module, withObserver } from "../nn/mod.ts";
import { argmax, FLOATS, neg } from "../ops/mod.ts";
import { keep, scope, type Tensor, tensorsIn } from "../tensor/mod.ts";

/**
 * Runs a forward once more and looks at what each module returns, in the order in which they return: a child comes
 * before its parent.
 *
 * @returns The path of the first whose output holds NaN or infinity; undefined where none does.
 */
export async function firstNonFinite(model: Module, forward: () => unknown): Promise<string | undefined> {
  const paths = new Map([...model.namedModules()].map(([path, module]) => [module, path]));
  const seen: { readonly path: string; readonly marks: readonly Tensor[] }[] = [];
  try {
    withObserver({
      call: (module, _, next) => {
        const out = next();
        const path = paths.get(module) || module.constructor.name;
        const floats = [...tensorsIn(out)].filter((t) => FLOATS.includes(t.dtype) && t.size > 0);
        seen.push({ path, marks: floats.flatMap(marksOf) });
        return out;
      },
    }, () => scope(() => void forward()));
    for (const { path, marks } of seen) {
      for (const mark of marks) if ((await mark.data()).includes(-1 as never)) return path;
    }
    return undefined;
  } finally {
    for (const { marks } of seen) for (const mark of marks) mark.dispose();
  }
}

// ---------------------------------------------------------------------------

/** Small tensors that hold −1 where a line of `t` is not finite: looked at later, when the forward is over. */
function marksOf(t: Tensor): Tensor[] {
  return scope(() => {
    const lines = t.reshape([-1, t.shape.at(-1) ?? 1]);
    return [keep(argmax(lines, -1, true)), keep(argmax(neg(lines), -1, true))];
  });
}

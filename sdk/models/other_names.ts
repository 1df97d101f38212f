import { chunk, concatenate, type ConversionRule, unstackList, WeightConverter } from "../authoring/mod.ts";
import { baseModelMapping } from "./old_keys.ts";

/** What is done where a checkpoint has a key that ends so. */
export interface Spelling {
  /** The end of a key. */
  readonly end: string;
  /** From the file's names to the modules'. */
  readonly rules: readonly ConversionRule[];
}

/** The mapping for checkpoints in any of the spellings, saved with or without the model's head. */
export function spellings(
  ...known: readonly Spelling[]
): (keys: Iterable<string>) => ConversionRule[] | undefined {
  return (keys) => {
    const all = [...keys];
    const found = known.filter(({ end }) => all.some((key) => key.endsWith(end)));
    const rules = [...baseModelMapping(all) ?? [], ...found.flatMap(({ rules }) => rules)];
    return rules.length > 0 ? rules : undefined;
  };
}

/** Tensors of a layer that the modules have in one, behind each other. Names as below `model.layers.N.` */
export function joined(from: readonly string[], to: string): Spelling {
  const rule = new WeightConverter(from.map((name) => LAYER + name), LAYER + to, [concatenate(0)]);
  return { end: `.${from[0]}`, rules: [rule] };
}

/**
 * All experts of a layer in one tensor each for gate with up and for down, as later versions save them.
 *
 * @param block The block's name in the file. @param modules Its name in the modules.
 * @param names An expert's projections: gate, up and down.
 */
export function stackedExperts(
  block: string,
  modules: string,
  [gate, up, down]: readonly [string, string, string],
): Spelling[] {
  const [from, to] = [`${LAYER}${block}.experts`, `${LAYER}${modules}.experts`];
  const apart = (stack: string, name: string) =>
    new WeightConverter(stack, `${to}.*.${name}.weight`, [unstackList(0)]);
  return [
    {
      end: `.${block}.experts.gate_up_proj`,
      rules: [
        new WeightConverter(`${from}.gate_up_proj`, [`${from}.gates`, `${from}.ups`], [chunk(2, 1)]),
        apart(`${from}.gates`, gate),
        apart(`${from}.ups`, up),
      ],
    },
    { end: `.${block}.experts.down_proj`, rules: [apart(`${from}.down_proj`, down)] },
  ];
}

// ---------------------------------------------------------------------------

const LAYER = "model.layers.*.";

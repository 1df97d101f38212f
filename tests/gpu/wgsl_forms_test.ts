import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { dispatch, shader } from "../../sdk/gpu/mod.ts";
import { Tensor } from "../../sdk/tensor/mod.ts";
import { gpuForFile } from "../helpers/gpu_for_file.ts";
import { FORMS } from "../helpers/wgsl_forms.ts";

describe("valid WGSL runs with the right result, with", () => {
  gpuForFile();

  for (const { what, code, out: expected, uniforms, constants, types } of FORMS) {
    it(what, async () => {
      using out = Tensor.zeros([4]);
      dispatch(shader({ code }), { out, ...uniforms }, { workgroups: 1, constants, types });
      assertEquals((await out.data())[0], expected);
    });
  }
});

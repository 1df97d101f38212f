/** Advice for the errors of models: tensors, devices, shaders, checkpoints, the command line. @module */
import type { ErrorCode } from "../../sdk/error_codes.ts";
import type { Advice } from "./mod.ts";

/** Advice by code. */
export const MODEL_ADVICE: Partial<Record<ErrorCode, Advice>> = {
  "KW-ARGUMENT": [
    "A call from plain JavaScript, or with a value from outside, that the types would not allow.",
    "Pass what the message names; a type checker finds such calls before they run.",
  ],
  "KW-TENSOR-DATA": [
    "An array with another number of elements than the shape has, nested arrays of uneven length, or a value that the dtype cannot hold.",
    "Count the elements: the product of the shape's sizes. Give integers that are whole and in range, or another dtype.",
  ],
  "KW-TENSOR-DEVICE": [
    "A parameter that has not been loaded is still on `meta`, or inputs were made on another device than the weights.",
    "Load the weights first; move inputs with `await t.to(device)`.",
  ],
  "KW-TENSOR-DTYPE": [
    "Arithmetic on integers or bf16, or operands of two float types.",
    "Use `cast(t, dtype)`; load bf16 weights as f32 or f16.",
  ],
  "KW-TENSOR-SHAPE": [
    "An operator was given tensors whose sizes disagree; the message has both shapes and the rule.",
    "Print the shapes at the call; a reshape or a transposed weight is the usual culprit.",
  ],
  "KW-TENSOR-RELEASED": [
    "A tensor made inside a `forward` or `scope` was kept and used after it ended.",
    "Return it, or call `keep(t)` where it is made, and dispose it yourself.",
  ],
  "KW-TENSOR-META": [
    "A forward that looks at values (`await t.data()`) is being traced, or the weights were never loaded.",
    "Keep the decision on the device, or load the weights before reading.",
  ],
  "KW-SCOPE-ASYNC": [
    "`scope(async () => …)`: what it makes after the first `await` would belong to nobody.",
    "Await outside, or dispose by hand.",
  ],
  "KW-GPU-NONE": [
    "No Vulkan, Metal or D3D12 driver, a runtime without WebGPU, or `openGpu()` was not called.",
    "Install a driver (Mesa's software one serves: `mesa-vulkan-drivers libvulkan1`), and `await openGpu()` first.",
  ],
  "KW-GPU-LOST": [
    "The driver was reset, the machine slept, or the device was destroyed.",
    "Open the device again and load the model again; its tensors are gone.",
  ],
  "KW-GPU-MEMORY": [
    "Weights, cache and activations together are more than the GPU has.",
    "Load as f16, shorten the context, or dispose what is no longer needed; `memory()` shows what is alive.",
  ],
  "KW-GPU-LIMIT": [
    "A tensor larger than one binding may be, or more storage buffers than a stage may have.",
    "Split the tensor, or load it in a narrower dtype; the message names the tensor and the limit.",
  ],
  "KW-GPU-FEATURE": [
    "A feature such as `shader-f16` was required of an adapter that lacks it.",
    "Leave it out, or name it in the kernel's `requires`, so that the original stays on such devices.",
  ],
  "KW-GPU-VALIDATION": [
    "WebGPU refused a command; the message is the browser's or the driver's own.",
    "If it names no mistake of your shader, report it: our checks should have come first.",
  ],
  "KW-CAPTURE-ASYNC": [
    "The captured function reads values on the host, which a replay could not repeat.",
    "Keep such values in tensors, or run it without capture.",
  ],
  "KW-CAPTURE-NESTED": [
    "A captured run captures another one.",
    "Capture the outer one only.",
  ],
  "KW-CAPTURE-STALE": [
    "The model's weights were moved, or kernels changed, after the capture.",
    "Capture again.",
  ],
  "KW-SHADER-COMPILE": [
    "A mistake in the WGSL; the message shows your own line and a caret.",
    "Fix the line. Where a type is a parameter (`T`), look at the variant that the message names.",
  ],
  "KW-SHADER-ENTRY": [
    "`entryPoint` names a function that is not there, or the file has several and none was named.",
    "Give one of the names in the message.",
  ],
  "KW-SHADER-BINDING": [
    "The shader declares a texture, a sampler or immediate data, or two variables at one `@group` and `@binding`.",
    "Use storage buffers and uniforms, each at a place of its own; make a shader of each entry point.",
  ],
  "KW-SHADER-CONSTANT": [
    "An `override` without a default was given no value, a constant is misspelt, or a value does not fit its type.",
    "Give every override its value in `constants`, by name or by the number in its `@id`.",
  ],
  "KW-DISPATCH-NAME": [
    "A binding is misspelt or forgotten.",
    "Bind every name of the shader; the message lists them.",
  ],
  "KW-DISPATCH-DTYPE": [
    "An f16 tensor for `array<f32>`, or the other way round.",
    "Declare `array<T>` and pass `types: { T: x.dtype }`, or cast.",
  ],
  "KW-DISPATCH-SIZE": [
    "A tensor is shorter than the shader's fixed-size array, or not whole elements of it (`vec4`).",
    "Pad it (`pad({ multipleOf: 4 })` in a layout), or read scalars.",
  ],
  "KW-DISPATCH-ALIAS": [
    "The same tensor, or a reshape of it, is read and written in one dispatch.",
    "Write to a new tensor.",
  ],
  "KW-DISPATCH-UNIFORM": [
    "A field of the uniform struct is missing, misspelt, or of another type.",
    "Give exactly the struct's fields.",
  ],
  "KW-DISPATCH-WORKGROUPS": [
    "A count is negative, no whole number, or above 65,535 in one dimension.",
    "Round up with `Math.ceil`, and spread large counts over two dimensions.",
  ],
  "KW-DISPATCH-DEVICE": [
    "A kernel with a shader was run on the reference device.",
    "Run it on `webgpu`; the reference computes with the plain operators only.",
  ],
  "KW-STATE-KEYS": [
    "`loadStateDict` was given other keys than the module has.",
    "Compare with `stateDict()`, or pass `{ strict: false }`.",
  ],
  "KW-MODULE-FORWARD": [
    "A list of modules was called like a module.",
    "Run its members one by one.",
  ],
  "KW-LAYER-NAME": [
    "A name with spaces, dots or a leading digit.",
    "Use letters, digits, `_` and `-`.",
  ],
  "KW-CONFIG-VALUE": [
    "A config.json of a model that is not supported as it is, or an unknown mode.",
    "The message names the field, its value and what would do.",
  ],
  "KW-CACHE-FULL": [
    "More tokens than `maxLength`.",
    "Make the cache longer, or generate fewer tokens.",
  ],
  "KW-CHECKPOINT-OPEN": [
    "A wrong path or address, a file without read permission, or in a page another site's server without CORS.",
    "Give the folder that holds `*.safetensors`; for pages see [browser.md](browser.md).",
  ],
  "KW-CHECKPOINT-TRUNCATED": [
    "A download that was cut off.",
    "Get the file again.",
  ],
  "KW-CHECKPOINT-HEADER": [
    "The file is not a safetensors file, or was damaged; a Git LFS pointer looks so, too.",
    "Get the real file.",
  ],
  "KW-CHECKPOINT-OFFSETS": [
    "A file that was made by something else than a safetensors library, or was damaged.",
    "Download it or save it again.",
  ],
  "KW-CHECKPOINT-DTYPE": [
    "Quantised or integer weights where floats are wanted.",
    "Take a checkpoint in f32, f16 or bf16.",
  ],
  "KW-CHECKPOINT-RANGE": [
    "A 64-bit integer above 2^31, or a float that is too large for f16.",
    "Load as f32; check that the tensor is what the model expects.",
  ],
  "KW-CHECKPOINT-INDEX": [
    "`model.safetensors.index.json` is damaged or of another checkpoint.",
    "Get it again.",
  ],
  "KW-CHECKPOINT-SHARD": [
    "A shard was not downloaded, or the index leads out of the folder.",
    "Get the missing file; do not trust an index that points elsewhere.",
  ],
  "KW-CHECKPOINT-KEYS": [
    "A checkpoint of another architecture, or a prefix more or less.",
    "The message lists what is missing and what is left over; rename with `WeightRenaming`.",
  ],
  "KW-CHECKPOINT-SHAPE": [
    "A config.json that does not belong to these weights.",
    "Take both from the same model.",
  ],
  "KW-CHECKPOINT-NONFINITE": [
    "Weights that overflowed, e.g. f32 weights above 65,504 loaded as f16.",
    "Load as f32, or get the checkpoint again.",
  ],
  "KW-CHECKPOINT-OPTION": [
    "A size or a budget that cannot be read.",
    'Write a number of bytes, or a text such as `"5GB"`.',
  ],
  "KW-CHECKPOINT-WRITE": [
    "A full disk, a folder without write permission, or a model that cannot be what it was loaded from.",
    "The old files are as they were; fix the cause and save again.",
  ],
  "KW-TOKENIZER": [
    "A tokenizer.json that is damaged or of a kind that is not supported.",
    "Get it again, or give ids instead of text.",
  ],
  "KW-EMBED-CONFIG": [
    "A folder with modules that are not supported, such as Dense, with keys that are not known, or without modules.json.",
    "Use a folder of Transformer, Pooling and Normalize; where there is no modules.json, say the pooling.",
  ],
  "KW-EMBED-TEXT": [
    "Ids of another tokenizer, more of them than the model has positions, or a text without any.",
    "Give texts, or the ids of this model's tokenizer.",
  ],
  "KW-SAMPLE-OPTION": [
    "A temperature of 0, a share in percent, or a seed that is no whole number.",
    "Correct the option, or leave out `sampling` for greedy generation.",
  ],
  "KW-GENERATE-PROMPT": [
    "An empty prompt, one longer than the context, or ids of another vocabulary.",
    "Begin with the bos token; encode with the model's own tokenizer.",
  ],
  "KW-GENERATE-OPTION": [
    "A count that is negative, a fraction or NaN, or an option that does not exist.",
    "The message names the option; correct it.",
  ],
  "KW-GENERATE-CONFIG": [
    "Beam search, penalties and other processors of logits, which this SDK does not have.",
    "Remove the key from the file, or set the options of generate() that go before it.",
  ],
  "KW-GENERATE-NONFINITE": [
    "A float16 overflow in a model made for bfloat16, a NaN among the weights, or a kernel that is wrong.",
    'Look at the module that the message names; load with `dtype: "f32"`, or with `nonFinite: "error"`.',
  ],
  "KW-ABORTED": [
    "The signal that was passed as `signal` was aborted: a stop button, a time-out.",
    "Nothing; its reason is the error's `cause`.",
  ],
  "KW-MODEL-TYPE": [
    "A folder without config.json, or a model_type that is not known here.",
    "The message lists the known ones.",
  ],
  "KW-CLI-ARGUMENT": [
    "A flag that is missing, unknown or impossible.",
    "See `--help` of the command.",
  ],
  "KW-CLI-DENO": [
    "`deno doc`, `deno fmt` or another command failed on the package.",
    "Its own message follows; fix that first.",
  ],
};

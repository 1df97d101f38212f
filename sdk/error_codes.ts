/**
 * Every code an error of this SDK can carry, with one sentence on what it means.
 *
 * A code is stable: it is never reused for something else. `docs/errors.md` lists the same codes, and a test
 * holds the two equal.
 */
export const ERROR_CODES = {
  // tensors and operators
  "KW-TENSOR-DATA": "The values given for a tensor do not fit its shape or dtype.",
  "KW-TENSOR-DEVICE":
    "Tensors of different devices met in one operation, or a device cannot do what was asked.",
  "KW-TENSOR-DTYPE": "A tensor has a dtype that the operation does not take.",
  "KW-TENSOR-SHAPE": "The shapes of an operation's tensors do not fit together.",
  "KW-TENSOR-RELEASED": "A tensor was used after its memory had been released.",
  "KW-TENSOR-META": "Values were asked of a tensor on the meta device, which has none.",
  "KW-SCOPE-ASYNC": "scope() was given an asynchronous function.",
  // the device
  "KW-GPU-NONE": "No WebGPU adapter was found, or no device has been opened.",
  "KW-GPU-LOST": "The GPU device was lost.",
  "KW-GPU-MEMORY": "The GPU could not allocate the memory for a tensor.",
  "KW-GPU-LIMIT": "Something is larger than a limit of the adapter.",
  "KW-GPU-FEATURE": "The adapter lacks a feature that was asked for.",
  "KW-GPU-VALIDATION": "The GPU refused a command.",
  // shaders
  "KW-SHADER-COMPILE": "A WGSL shader does not compile.",
  "KW-SHADER-ENTRY": "A shader has no compute entry point of that name.",
  "KW-SHADER-CONSTANT": "A constant names no override of the shader, or an override has no value.",
  "KW-DISPATCH-NAME": "A dispatch names a binding that the shader lacks, or leaves one out.",
  "KW-DISPATCH-DTYPE": "A tensor's dtype is not the element type of the shader's binding.",
  "KW-DISPATCH-SIZE": "A tensor's size does not fit the shader's binding.",
  "KW-DISPATCH-ALIAS": "One tensor is bound twice in a dispatch, and at least once for writing.",
  "KW-DISPATCH-UNIFORM": "A uniform's fields do not fit the shader's struct.",
  "KW-DISPATCH-WORKGROUPS": "The workgroup counts of a dispatch are not usable.",
  "KW-DISPATCH-DEVICE": "A kernel was dispatched on a device that runs no shaders.",
  // modules
  "KW-STATE-KEYS": "The keys of a state dict are not those of the module.",
  "KW-MODULE-FORWARD": "A module without a forward of its own was run.",
  "KW-LAYER-NAME": "A layer's name is not usable.",
} as const;

/** One of the codes in {@linkcode ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

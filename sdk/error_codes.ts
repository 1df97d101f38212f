/**
 * Every code an error of this SDK can carry, with one sentence on what it means.
 *
 * A code is stable: it is never reused for something else. `docs/errors.md` lists the same codes, and a test
 * holds the two equal.
 */
export const ERROR_CODES = {
  // arguments
  "KW-ARGUMENT": "A function of the SDK was given an argument that it does not take.",
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
  "KW-CAPTURE-ASYNC": "A function that waits for the GPU was to be captured.",
  "KW-CAPTURE-NESTED": "A capture was begun inside another.",
  "KW-CAPTURE-STALE": "A captured plan uses memory that has been released.",
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
  "KW-CONFIG-VALUE": "A value of config.json is missing, unknown or impossible.",
  "KW-CACHE-FULL": "A key/value cache is too short for the tokens given.",
  // authoring
  "KW-SIGNATURE-SITE": "A site is not well formed, or a kernel and its layout name different ones.",
  "KW-SIGNATURE-LAYOUT": "A class that is used as a layout is not one.",
  "KW-SIGNATURE-ARITY": "A layout's constructor takes another number of parameters than its site has parts.",
  "KW-SIGNATURE-FORWARD":
    "A kernel's forward is missing or returns something else than the modules it stands for.",
  "KW-SIGNATURE-CLASS": "A module at a site is not an instance of the class that the kernel was written for.",
  "KW-SIGNATURE-ARGUMENTS":
    "The arguments that a module was built with are not known, or the layout does not take them.",
  "KW-KERNEL-STATE": "A kernel class has state.",
  "KW-KERNEL-OPTION": "A decorator was given an option that it does not have.",
  "KW-KERNEL-UNDECLARED": "A class that is used as a kernel is not declared as one.",
  "KW-LAYOUT-NO-KERNEL": "A layout was run without a kernel.",
  "KW-LAYOUT-CONSTRUCT": "A layout's constructor failed.",
  "KW-CONVERT-SOURCE": "A conversion reads a source that the site does not have.",
  "KW-CONVERT-TWICE": "A parameter is produced, or a source read, by two conversions.",
  "KW-CONVERT-UNFILLED": "A layout's parameter is produced by no conversion.",
  "KW-CONVERT-UNREAD": "A source is read by no conversion and not named in drops.",
  // conversions
  "KW-CONVERT-SHAPE": "The shapes of a conversion's tensors do not fit its ops.",
  "KW-CONVERT-DTYPE": "A conversion op does not take the dtype of its tensors.",
  "KW-CONVERT-AMBIGUOUS": "A conversion could be read in more than one way.",
  "KW-CONVERT-NO-REVERSE": "A conversion has no reverse, and something needs it.",
  "KW-CONVERT-PATTERN": "A pattern of checkpoint keys is not well formed.",
  "KW-CONVERT-CLAIMED": "Two conversions claim the same tensor of the checkpoint, or make the same tensor.",
  // checkpoints
  "KW-CHECKPOINT-OPEN": "A checkpoint's file or folder could not be opened or read.",
  "KW-CHECKPOINT-TRUNCATED": "A checkpoint's file ends before the data that its header promises.",
  "KW-CHECKPOINT-HEADER": "A safetensors header is not what the format says.",
  "KW-CHECKPOINT-OFFSETS":
    "The offsets in a safetensors header overlap, leave holes, or do not fit the shapes.",
  "KW-CHECKPOINT-DTYPE": "A tensor of a checkpoint has a dtype that cannot be loaded as what was asked for.",
  "KW-CHECKPOINT-RANGE": "A value of a checkpoint does not fit the dtype that it is loaded as.",
  "KW-CHECKPOINT-INDEX": "The index of a sharded checkpoint is not what the format says.",
  "KW-CHECKPOINT-SHARD": "A shard of a checkpoint is missing, or lies outside of the checkpoint's folder.",
  "KW-CHECKPOINT-KEYS": "The tensors of a checkpoint are not those of the model.",
  "KW-CHECKPOINT-SHAPE": "A tensor of a checkpoint has another shape than the model's parameter.",
  "KW-CHECKPOINT-NONFINITE": "A checkpoint's weights hold NaN or infinity.",
  "KW-CHECKPOINT-OPTION": "An option for loading or saving a checkpoint is not usable.",
  "KW-CHECKPOINT-WRITE": "A checkpoint could not be written.",
  // matching and selection
  "KW-CONFIG-KERNELS": "A kernel config has a value that is not allowed.",
  "KW-CONFIG-PATTERN": "A path pattern is malformed.",
  "KW-MATCH-NAME": "An entry names a layer that the model does not have.",
  "KW-MATCH-NONE": "An entry's path pattern matches no layer of its name.",
  "KW-MATCH-PART": "A part of a fusion is missing at one of its sites.",
  "KW-MATCH-PARENTS": "The parts of a fusion have different parents.",
  "KW-MATCH-AMBIGUOUS": "Several modules could be the same part of a fusion.",
  "KW-MATCH-SHARED": "A module that stands at several paths was to be swapped at one.",
  "KW-MATCH-OVERLAP": "Two entries claim the same module.",
  "KW-MATCH-NESTED": "A kernel's site lies inside another's.",
  "KW-MATCH-ROOT": "The model itself was to be replaced.",
  "KW-SELECT-NONE": "No kernel fits a site, and the original is not allowed.",
  "KW-KERNEL-FORWARD": "A kernel's forward failed on meta.",
  "KW-KERNEL-ACCEPTS": "The accepts of a kernel or layout failed.",
  "KW-MAPPING-NONE": "kernelize was given no config, and no kernel mapping is in scope.",
  "KW-EXPLAIN-PATH": "explain was asked about a path that the model does not have.",
  "KW-LAYOUT-SHARES": "A layout uses a parameter of the modules that it stands for.",
  "KW-PARALLEL-ORDER": "An output of a parallel fusion was asked for out of order.",
  "KW-VERIFY": "A kernel does not compute what the modules compute that it stands for.",
  "KW-TUNE-OPTION": "The tune of a kernel names no constants with the numbers to try, or too many.",
  "KW-TUNE-NAME": "A kernel's forward asks for a tuned constant that its tune does not name.",
  "KW-TUNE-INPUTS": "Kernels cannot be tuned: the model has none, is not loaded, or has no inputs to run.",
  // tracing
  "KW-TRACE-INPUTS": "A fusion cannot be proven, since the model's inputs are not known.",
  "KW-TRACE-FORWARD": "A model's forward failed on meta.",
  "KW-TRACE-NOT-RUN": "A part of a fusion is not run.",
  "KW-TRACE-REPEATS": "A part of a fusion runs several times.",
  "KW-TRACE-CALLER": "A part of a fusion is run by another module than its parent.",
  "KW-TRACE-ORDER": "The parts of a fusion run in another order.",
  "KW-TRACE-BROKEN": "A part of a fusion does not feed the next one.",
  "KW-TRACE-ARGUMENTS": "A later part of a fusion takes further arguments.",
  "KW-TRACE-ESCAPES": "A value inside a fusion is used outside it.",
  "KW-TRACE-WEIGHT": "A parameter of a module that is to be replaced is read by another module.",
  "KW-TRACE-PROPERTY": "A property of a module that is to be replaced is used by another module.",
  // references
  "KW-REF-SYNTAX": "A kernel reference is malformed.",
  "KW-REF-MISSING": "A kernel reference leads to no file.",
  "KW-REF-EXPORT": "A kernel reference names something that its module does not export.",
  // models
  "KW-TOKENIZER": "A tokenizer.json cannot be used.",
  "KW-SAMPLE-OPTION": "A temperature, topK, topP or seed is out of range.",
  "KW-GENERATE-PROMPT": "A prompt is empty, too long, or has ids that the model does not know.",
  "KW-MODEL-TYPE": "A folder holds no model, or one of an architecture that is not known.",
  "KW-CLI-ARGUMENT": "A command was given an argument that it cannot use.",
  // the harness, the bench
  "KW-TEST-CLOSE": "Two tensors differ by more than is allowed.",
  "KW-TEST-CHECK": "A kernel failed one of the checks of its test.",
  "KW-TEST-OPTION": "A kernel's test or bench was not told enough, or something that cannot be.",
  // new-kernel, bundle
  "KW-NEW-ARGUMENT": "new-kernel was told too little, or things that do not go together.",
  "KW-NEW-NAME": "A name for a new kernel is not usable.",
  "KW-NEW-EXISTS": "The folder for a new kernel exists already.",
  "KW-NEW-MODULE": "new-kernel does not know a module, or cannot put it there.",
  "KW-CLI-DENO": "A command of Deno that a tool needs has failed.",
  "KW-BUNDLE": "A package cannot be bundled.",
  "KW-BUNDLE-DEPENDENCY": "A package to be bundled imports what a bundle cannot carry.",
  // references to elsewhere
  "KW-REF-FETCH": "A kernel's files could not be fetched.",
  "KW-REF-LIMIT": "A server was too slow, sent too much, or redirected too often.",
  "KW-REF-ESCAPES":
    "A file of a bundle lies outside of its folder, or a redirect leads to where it must not.",
  "KW-REF-MANIFEST": "A kernel.json is not what the format says.",
  "KW-REF-DIGEST": "A file of a bundle is not the one that was published or locked.",
  "KW-REF-LOCK": "A reference is not what kernels.lock says, or the lock cannot be read.",
  "KW-REF-UNTRUSTED": "A kernel's publisher is not trusted.",
  "KW-REF-REGISTRY": "Where the packages of a registry are is not known.",
  "KW-REF-VERSION": "No version of a package fits what a reference asks for.",
  "KW-REF-SDK": "A bundle was made for another version of the SDK.",
  "KW-REF-SIGNATURE": "A bundle's signature does not fit the model, or is not that of its code.",
} as const;

/** One of the codes in {@linkcode ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

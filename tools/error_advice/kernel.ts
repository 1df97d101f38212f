/** Advice for the errors of kernels: writing, matching, tracing, testing and publishing them. @module */
import type { ErrorCode } from "../../sdk/error_codes.ts";
import type { Advice } from "./mod.ts";

/** Advice by code. */
export const KERNEL_ADVICE: Partial<Record<ErrorCode, Advice>> = {
  "KW-SIGNATURE-SITE": [
    "A kernel and its layout each made a site of their own, a fusion without a layout, or `replace` with a kernel that fuses.",
    "Write the site once as a constant and give it to both; use the entry that the message names.",
  ],
  "KW-SIGNATURE-LAYOUT": [
    "A class without `extends Layout`, or without `@layout`.",
    "Extend `Layout` and decorate it.",
  ],
  "KW-SIGNATURE-ARITY": [
    "A layout of a fusion takes more or fewer parameters than there are parts, or a parameter has a default.",
    "Take exactly the fused modules, in their order.",
  ],
  "KW-SIGNATURE-FORWARD": [
    "No `forward`, or one whose result has another shape, dtype or form than the original's.",
    "Return exactly what the modules return; the message has both.",
  ],
  "KW-SIGNATURE-CLASS": [
    "The name covers another class: a subclass that computes something of its own, or a look-alike.",
    "Narrow the path, or write a kernel for that class.",
  ],
  "KW-SIGNATURE-ARGUMENTS": [
    "A class that was made replaceable from outside: nobody recorded how its instances were built.",
    "Give `makeReplaceable` an `argumentsOf`.",
  ],
  "KW-KERNEL-STATE": [
    "A field, a constructor, a static that can change, or a forward that sets something on the class.",
    "Put parameters into the layout and constants outside the class.",
  ],
  "KW-DECORATOR": [
    "`experimentalDecorators` is set in compilerOptions, so that the compiler or bundler writes the older kind of decorator.",
    "Take `experimentalDecorators` (and `emitDecoratorMetadata`) out of deno.json or tsconfig.json.",
  ],
  "KW-KERNEL-OPTION": [
    "A misspelt option of `@kernel` or `@layout`.",
    "Take the suggested name.",
  ],
  "KW-KERNEL-UNDECLARED": [
    "A plain class, or a layout, was given where a kernel is wanted.",
    "Decorate the class with `@kernel`, and name the kernel and not its layout.",
  ],
  "KW-KERNEL-FORWARD": [
    "A kernel's forward threw when it was run on meta: it reads values, or something that the layout lacks.",
    "Use shapes only; the cause is in the message.",
  ],
  "KW-KERNEL-WRITES": [
    "A forward writes memory that it did not make: an input, a weight, a cache, also through a reshape; or its `writes` threw.",
    "Write to `Tensor.empty(…)`; where the write is meant, name it in `@kernel({ writes })`. What the originals write of their arguments needs no name once a trace has shown it.",
  ],
  "KW-KERNEL-ACCEPTS": [
    "The condition of a kernel or layout threw.",
    "Return true, false, or the reason why not.",
  ],
  "KW-LAYOUT-NO-KERNEL": [
    "A layout was put into a model by hand.",
    "Use `kernelize()`, which brings the kernel.",
  ],
  "KW-LAYOUT-CONSTRUCT": [
    "A layout's constructor threw: often it looked at values, or at a size that this model does not have.",
    "Build everything with `parameter([…])` from the arguments; refuse sizes in `accepts`.",
  ],
  "KW-LAYOUT-SHARES": [
    "A layout keeps one of the original modules, or its parameter, as a property.",
    "Build the parameters again, and copy numbers such as epsilons.",
  ],
  "KW-CONVERT-SOURCE": [
    "A conversion or `drops` names a parameter that the site does not have.",
    "Sources begin with the part's name (`mlp.up_proj.weight`); take the suggested one.",
  ],
  "KW-CONVERT-TWICE": [
    "Two rules with one target, or with one source.",
    "Produce each parameter once; cut a source that serves several with `split` or `chunk`.",
  ],
  "KW-CONVERT-UNFILLED": [
    "A parameter of the layout that no rule produces, or a rule whose target is misspelt.",
    "Add the rule, or correct the name.",
  ],
  "KW-CONVERT-UNREAD": [
    "A parameter of the original that no rule reads, e.g. a bias.",
    "Convert it, name it in `drops`, or refuse such modules in `accepts`.",
  ],
  "KW-CONVERT-SHAPE": [
    "An op was given shapes that it cannot take, or its result is not the layout's parameter.",
    "The message follows the shapes through; a missing `transpose` is common.",
  ],
  "KW-CONVERT-DTYPE": [
    "A cast of something that is not f32 or f16.",
    "Leave such tensors as they are.",
  ],
  "KW-CONVERT-AMBIGUOUS": [
    "An op that takes one tensor was given several, whose parts could not be told apart.",
    "Write one conversion for each source.",
  ],
  "KW-CONVERT-NO-REVERSE": [
    "An op of your own without a reverse.",
    "Give it one, or mark the rule `{ loadOnly: true }`: then the model cannot be saved.",
  ],
  "KW-CONVERT-PATTERN": [
    "A `*` that is not a whole segment, or source and target with different wildcards.",
    "Write whole segments, and as many wildcards on both sides.",
  ],
  "KW-CONVERT-CLAIMED": [
    "Patterns of two rules that match the same key.",
    "Narrow one of them.",
  ],
  "KW-CONFIG-KERNELS": [
    "A typing mistake in kernels.json; the message has the JSON path.",
    "An entry is `{ replace, at?, with }`, `{ fuse, with }`, `{ fuseParallel, with }` or `{ disable, at? }`.",
  ],
  "KW-CONFIG-PATTERN": [
    "A `*` inside a segment, an empty segment, or an invalid regular expression.",
    "Separate names with dots; for more than whole segments write `{ regex: … }`.",
  ],
  "KW-MATCH-NAME": [
    "A misspelt layer name, or a config of another architecture.",
    "Take the suggested name; `./dev inspect DIR` lists the tree.",
  ],
  "KW-MATCH-NONE": [
    "A path that this model does not have.",
    "The message shows paths where the layer is.",
  ],
  "KW-MATCH-PART": [
    "One layer of the model lacks a part: a decoder whose last block differs.",
    "Narrow the paths to the layers that have every part.",
  ],
  "KW-MATCH-PARENTS": [
    "Parts that are not siblings.",
    "Fuse properties of one module, or replace the module above them.",
  ],
  "KW-MATCH-AMBIGUOUS": [
    "A name alone, where the parent has two such modules.",
    "Give that part a path.",
  ],
  "KW-MATCH-SHARED": [
    "The same instance stands at two paths.",
    "Build one for each place, or leave it out with a path.",
  ],
  "KW-MATCH-OVERLAP": [
    "Two entries by path claim one module and are not the same site.",
    "Narrow one of them; between equal sites the later one wins.",
  ],
  "KW-MATCH-NESTED": [
    "An entry by path inside a module that another kernel stands for.",
    "Keep one of the two.",
  ],
  "KW-SWAP-READONLY": [
    "The parent is frozen or sealed, or holds the module behind a getter.",
    "Leave the property writable, or name a module further up that can be changed.",
  ],
  "KW-MATCH-ROOT": [
    "The model itself is the layer that was to be replaced.",
    "Replace something inside it, or wrap it in a module.",
  ],
  "KW-SELECT-NONE": [
    "No kernel of an entry with `fallback: false` fits the device, the mode or the module.",
    "The notes say why each was refused; add one that fits, or allow the original.",
  ],
  "KW-MAPPING-NONE": [
    "`kernelize(model)` outside of `useKernelMapping`, e.g. in a callback that runs later.",
    "Pass a config, or call it inside.",
  ],
  "KW-EXPLAIN-PATH": [
    "A misspelt path, or one of the swapped tree.",
    "Give the path in the model without kernels.",
  ],
  "KW-PARALLEL-ORDER": [
    "A sibling of a parallel fusion ran before the first one, or twice: the model ran otherwise than when it was traced.",
    "Trace every way in which it is run: `samples: [[…], […]]`.",
  ],
  "KW-VERIFY": [
    "A kernel is further from its original than rounding explains: a forgotten epsilon, a wrong stride, f16 sums.",
    'The figures say where; fix the kernel, or use `onFail: "fallback"` to keep the original there.',
  ],
  "KW-TUNE-OPTION": [
    "A single number where a list belongs, or so many candidates that trying them all would take minutes.",
    "Write `tune: { TILE: [32, 64, 128] }`: finite numbers, and at most 64 combinations.",
  ],
  "KW-TUNE-NAME": [
    "A name misspelt in `tuned({ … })`, or left out of the decorator's `tune`.",
    "Use the same name in both; a constant that is not tuned needs no `tuned`.",
  ],
  "KW-TUNE-INPUTS": [
    "`tune` was called before `kernelize`, before the weights were loaded, or without inputs.",
    "Load the model, put the kernels in, and pass `{ inputs }`: real tensors, as the model is run with.",
  ],
  "KW-TRACE-INPUTS": [
    "A fusion in a model that does not say what its forward takes.",
    "Pass `inputs`, or give the model an `exampleInputs()`.",
  ],
  "KW-TRACE-FORWARD": [
    "The model's own forward threw on meta: it looks at values or at something that the inputs lack.",
    "Give inputs as the model is really run with.",
  ],
  "KW-TRACE-NOT-RUN": [
    "A part that this layer does not use, or that is computed without `call()`.",
    "Run children with `call()`; narrow the pattern.",
  ],
  "KW-TRACE-REPEATS": [
    "A module that runs several times in one forward.",
    "It cannot be fused with a neighbour; replace it alone.",
  ],
  "KW-TRACE-CALLER": [
    "A module is run by somebody else than the module that holds it.",
    "Replace the module that runs it.",
  ],
  "KW-TRACE-ORDER": [
    "The entry names the parts in another order than they run in.",
    "Name them in the order in which they run.",
  ],
  "KW-TRACE-BROKEN": [
    "Something stands between the parts, such as a residual addition, or they are fed different inputs.",
    "Fuse at the parent: one kernel that replaces it.",
  ],
  "KW-TRACE-ARGUMENTS": [
    "A later part takes more than the result of the one before it.",
    "Fuse at the parent.",
  ],
  "KW-TRACE-ESCAPES": [
    "The value between the parts is also read, returned or stored elsewhere: attention and MLP from one norm.",
    "Leave this layer alone, or fuse at the parent, which can compute both.",
  ],
  "KW-TRACE-OVERWRITES": [
    "A kernel declares that it writes an input, the modules that it stands for do not, and somebody reads that input afterwards.",
    "Write to a tensor of its own, or replace the module that reads it as well.",
  ],
  "KW-TRACE-WEIGHT": [
    "A module reads the weight of another one that is to be replaced: after the swap it is in the layout.",
    "Hand it on as a value, or replace the module that reads it.",
  ],
  "KW-TRACE-PROPERTY": [
    "A module's forward uses a property or method of another one that is to be replaced: after the swap a layout stands there.",
    "Give the layout a property of that name and value (or a method of that name), or replace the module that uses it.",
  ],
  "KW-REF-SYNTAX": [
    "A reference without the class after the colon.",
    "Write `./folder:ClassName`.",
  ],
  "KW-REF-MISSING": [
    "A path that is relative to another folder than was meant.",
    "The message lists what was looked for: beside the config, then in the working folder.",
  ],
  "KW-REF-EXPORT": [
    "A misspelt class name, or the layout's name in place of the kernel's.",
    "Take one of the kernels that the message lists.",
  ],
  "KW-REF-FETCH": [
    "The network, a version that does not exist, or a reference without an exact version in a lock.",
    "Check the address; give exact versions.",
  ],
  "KW-REF-LIMIT": [
    "A slow or hostile server.",
    "Try again later, or fetch the bundle by hand and refer to the folder.",
  ],
  "KW-REF-ESCAPES": [
    "A bundle that names files outside of its folder, or a redirect away from https.",
    "Do not use it; tell its author.",
  ],
  "KW-REF-MANIFEST": [
    "A kernel.json of another version, or written by hand.",
    "Make the bundle again with `./dev bundle`.",
  ],
  "KW-REF-DIGEST": [
    "The file was changed after it was published or locked.",
    "Find out why before you lock it again: the code is not what was reviewed.",
  ],
  "KW-REF-LOCK": [
    "A reference that is not locked, or a damaged kernels.lock.",
    "Run `./dev lock`.",
  ],
  "KW-REF-UNTRUSTED": [
    "Code of a publisher that you have not allowed.",
    "Read it; then lock it with `--trust`, add the publisher to your list, or say `trust: true` yourself.",
  ],
  "KW-REF-REGISTRY": [
    "A `jsr:` or `npm:` reference where neither the environment nor the configuration has the registry's address.",
    "Set `JSR_URL` or `npm_config_registry`, or write `registries` into `~/.config/kernelwright/config.json`.",
  ],
  "KW-REF-VERSION": [
    "A range above the newest version, a misspelt tag, or versions that were all taken back.",
    "Take one of the versions that the message lists.",
  ],
  "KW-REF-SDK": [
    "A bundle whose kernel.json names a range that this SDK is not in.",
    "Take a version of the kernel for this SDK, or use the SDK that it names.",
  ],
  "KW-REF-IMPORT": [
    "A bundle that imports an address or a package, computes what it imports, or makes code of text.",
    "Do not use it. Its publisher copies what it needs into the package, and bundles again.",
  ],
  "KW-REF-CACHE": [
    "A file where the cache's folder should be, or a folder that may not be written.",
    "Set `KERNELWRIGHT_CACHE` to a folder that can be written.",
  ],
  "KW-REF-SIGNATURE": [
    "A bundle for other layers than the model has, or whose code says otherwise than its kernel.json.",
    "Choose another kernel, or change the entry.",
  ],
  "KW-TEST-CLOSE": [
    "A result is off; the message has the worst elements by index.",
    "Compare by hand at that index, and look at odd sizes first.",
  ],
  "KW-TEST-CHECK": [
    "A kernel failed one of the harness's checks; dims, dtype and seed are in the message.",
    "Run it again with that seed.",
  ],
  "KW-TEST-OPTION": [
    "The harness does not know how to build the modules at the site.",
    "Give `modules()`, as the message says.",
  ],
  "KW-NEW-ARGUMENT": [
    "`new-kernel` was told neither `--replaces` nor `--fuses`, or both.",
    "`new-kernel FastNorm --replaces RMSNorm`.",
  ],
  "KW-NEW-NAME": [
    "A kernel's name that is not a class name, or a scope that is not a scope.",
    "`FastNorm`, `@you`.",
  ],
  "KW-NEW-EXISTS": [
    "The folder is there already.",
    "Give another `--dir`.",
  ],
  "KW-NEW-MODULE": [
    "There is no template for that module.",
    "Take a listed one, and change the site by hand afterwards.",
  ],
  "KW-BUNDLE": [
    "A package without a kernel, without a deno.json, or with something that a bundle cannot hold.",
    "Export the kernel from the package's entry.",
  ],
  "KW-BUNDLE-DEPENDENCY": [
    "An import of a package other than the SDK, from npm, JSR or the network, or of a module of Node.js.",
    "Copy what you need into the package, with its license, and import it by a relative path.",
  ],
};

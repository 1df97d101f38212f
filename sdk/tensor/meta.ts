import { raise } from "../errors.ts";
import type { TensorSpec } from "./shape.ts";
import { type Backend, registerBackend, Storage } from "./storage.ts";

/** Storage without bytes: its identity is all it has, and the trace follows that. */
export class MetaStorage extends Storage {
  /** The meta backend. */
  override readonly backend: Backend = metaBackend;
  readonly #of: Storage | undefined;

  /**
   * Makes an identity.
   *
   * @param of The real memory that a reshape in a traced forward shows.
   */
  constructor(of?: Storage) {
    super();
    this.#of = of?.origin;
  }

  /** What it shows. */
  override get origin(): Storage {
    return this.#of ?? this;
  }

  /** Gives the memory back. */
  protected override free(): void {}
}

/** The device on which the tree is built, matched, traced and checked. */
export const metaBackend: Backend = {
  device: "meta",
  allocate: () => new MetaStorage(),
  upload: () => new MetaStorage(),
  read: (_storage, { name }: TensorSpec & { readonly name?: string }) =>
    raise(
      "KW-TENSOR-META",
      `Cannot read the values of ${name ? JSON.stringify(name) : "a tensor"} on the meta device: it has none`,
      "A forward that looks at values cannot be traced; load the weights first, or keep the values on the device.",
    ),
};

registerBackend(metaBackend);

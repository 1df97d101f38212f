/** What a wrong signature's type becomes, so that the compiler's message spells the expected one. */
export interface SignatureMismatch<Message extends string, Expected> {
  /** What is wrong. */
  readonly "signature mismatch": Message;
  /** What was expected. */
  readonly expected: Expected;
}

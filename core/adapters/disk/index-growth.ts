/** How large the index was, measured, when a store had reached so many payloads. */
export interface IndexGrowth {
  readonly kind: "index-growth";
  readonly payloads: number;
  /** Bytes of the index that are in memory. */
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

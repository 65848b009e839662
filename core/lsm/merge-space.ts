import { ColumnSpace } from "./change-columns.ts";
import { ChangeTable } from "./change-table.ts";

/** Where a merge brings the keys of a part together. The next part uses it again, and so does the next merge; not two at once. */
export class MergeSpace {
  readonly table: ChangeTable = new ChangeTable();
  readonly columns: ColumnSpace = new ColumnSpace();
  #slots = new Uint8Array(0);

  /** Room for the slots of one part. */
  slots(bytes: number): Uint8Array {
    if (this.#slots.length < bytes) this.#slots = new Uint8Array(2 * bytes);
    return this.#slots;
  }
}

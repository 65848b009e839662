// Many more steps at which the index is made anew, or which fail.
import "./index-changes.test.ts";

// Each byte is where the segment is cut.
import "./torn-tail.test.ts";

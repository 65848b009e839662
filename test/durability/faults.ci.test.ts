// Each step fails.
import "./faults.test.ts";

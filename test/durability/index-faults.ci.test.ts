// Each step fails, in one of the three ways.
import "./index-faults.test.ts";

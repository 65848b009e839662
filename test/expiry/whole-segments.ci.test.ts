// Each step fails, and more schedules.
import "./whole-segments.test.ts";

// Each step fails, and more schedules.
import "./repair.test.ts";

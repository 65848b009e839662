// Each step fails, and more schedules.
import "./crashes.test.ts";

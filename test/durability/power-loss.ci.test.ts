// More schedules.
import "./power-loss.test.ts";

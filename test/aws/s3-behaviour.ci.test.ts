import { startCeph } from "../support/aws/ceph.ts";
import { s3BehaviourSuite } from "../support/aws/s3-behaviour-suite.ts";
import { cephDifferences } from "../support/aws/s3-differences.ts";

s3BehaviourSuite("Ceph", startCeph, cephDifferences);

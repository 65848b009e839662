import { s3BehaviourSuite } from "../support/aws/s3-behaviour-suite.ts";
import { startS3Double } from "../support/aws/s3-double.ts";

s3BehaviourSuite("the double", startS3Double);

import { settings } from "./stage.ts";

/** Every alarm tells this topic when it goes off, and when it is over. */
export const topic = new sst.aws.SnsTopic("AlarmTopic");

if (settings.alarmEmail !== undefined) {
  // AWS mails a request for consent first; until that is given, nothing arrives.
  new aws.sns.TopicSubscription("AlarmEmail", {
    topic: topic.arn,
    protocol: "email",
    endpoint: settings.alarmEmail,
  });
}

/** Long enough for a retry to help, short enough to hear of it while it lasts. In seconds. */
const periodSeconds = 300;

export interface Watched {
  readonly namespace: "AWS/Lambda" | "AWS/DynamoDB" | "AWS/SQS" | "Paylode";
  readonly metric: string;
  readonly statistic: "Sum" | "Maximum";
  /** One metric for each; where there are several, their values are added up. */
  readonly dimensions: readonly Readonly<Record<string, $util.Input<string>>>[];
  /** The alarm goes off when the value of one period reaches this. */
  readonly threshold: number;
  /** What happened, for the one who is woken up by it. */
  readonly description: string;
}

/** Tells {@link topic} when a metric reaches its threshold. A period without data is a quiet one. */
export function alarm(name: string, watched: Watched): void {
  const { namespace, metric, statistic, dimensions, threshold, description } = watched;
  new aws.cloudwatch.MetricAlarm(name, {
    name: `${$app.name}-${$app.stage}-${name}`,
    alarmDescription: description,
    comparisonOperator: "GreaterThanOrEqualToThreshold",
    threshold,
    evaluationPeriods: 1,
    treatMissingData: "notBreaching",
    alarmActions: [topic.arn],
    okActions: [topic.arn],
    metricQueries: [
      { id: "total", label: metric, expression: "SUM(METRICS())", returnData: true },
      ...dimensions.map((each, index) => ({
        id: `m${index}`,
        metric: { namespace, metricName: metric, dimensions: each, period: periodSeconds, stat: statistic },
      })),
    ],
  });
}

/** The rules and the alert of the demo, and of the tests that do the same. */

export const alertName = 'CheckoutErrors';
export const ruleName = 'checkout-errors';

/** What part of the orders fails, as PromQL. */
export const errorRatio: string =
  'sum by (job) (rate(checkout_errors_total{code="500"}[5s])) / sum by (job) (rate(checkout_requests_total[5s]))';

export const alerts: string = `groups:
  - name: checkout
    rules:
      - alert: ${alertName}
        expr: ${errorRatio} > 0.01
        for: 3s
        labels: { severity: page }
        annotations:
          summary: '{{ $value | humanizePercentage }} of the orders of {{ $labels.job }} fail'
`;

const what = (location: string): string => `    what:
      - snapshot:                              # which order fails, and who asked for it?
          at: ${location}
          capture: ['order->total', 'order->coupon->currency->decimals']
          every: 200ms                         # at most five a second
    limits:                                    # how much, at most
      stacks: 3                                # three different ways to the error tell enough
      hits: 30
      expire: 1m
      cooldown: 10m
      per-day: 5
`;

export interface RuleOptions {
  /** The service that it is about; Prometheus knows it as a job of that name. */
  readonly service: string;
  readonly location: string;
}

export const alertRule = ({ service, location }: RuleOptions): string => `rules:
  - name: ${ruleName}
    when:                                      # Alertmanager tells that this alert fires
      alertmanager: { alert: ${alertName} }
    where: 'service:{{ labels.job }}'          # the job of the alert ...
    allow: { job: [${service}, billing] }  # ... if it is one of ours: labels are not trusted
${what(location)}`;

export const metricRule = ({ service, location }: RuleOptions): string => `rules:
  - name: ${ruleName}
    when:                                      # more than 10 threads a second pass the error line
      metric:
        target: service:${service}
        at: ${location}
        above: 10/s
        for: 2s
        window: 2s
    where: service:${service}
${what(location)}`;
